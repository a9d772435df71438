"""Asks every configured database once what it is (shell)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import CacheRules
from longshore.pool.cache.redis_store import RedisStore
from longshore.pool.inner_session import InnerQueryFailed, inner_query
from longshore.pool.model import Mode
from longshore.pool.pools import Pools
from longshore.pool.refusals import PoolRefused
from longshore.pool.servers.login_failed import LoginFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.cache.store_address import StoreAddress
    from longshore.pool.model import Database
    from longshore.pool.pool import Pool

__all__ = ["NO_PACKAGE", "Answer", "ask_all", "ask_store", "crowded"]

LIMIT_S: Final = 20.0
STORE_LIMIT_S: Final = 5.0
NO_PACKAGE: Final = "it needs the package 'redis': run 'pip install longshore[redis]'"
_QUESTION: Final = """
SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('max_connections')::int
       - pg_catalog.current_setting('superuser_reserved_connections')::int,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend') - 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a database said."""

    database: Database
    problem: str = ""
    """Why it was not asked, or did not answer."""
    is_skipped: bool = False
    """It has no account of its own to ask with."""
    version: str = ""
    is_standby: bool = False
    max_connections: int = 0
    """Less those that are kept for superusers."""
    tls: str = ""
    """The version of TLS; empty: not encrypted."""
    in_use: int = 0
    """Connections of clients just now."""


async def ask_all(databases: Sequence[Database]) -> list[Answer]:
    """Ask every database; one after the other, so that a server is not asked by many at once.

    Cancellation: safe.
    """
    lone = [_plain(each) for each in databases]
    pools = Pools(lone)
    try:
        return [await _ask(pools, each) for each in databases]
    finally:
        await pools.aclose()


async def ask_store(address: StoreAddress) -> str:
    """Return why the store of the read cache cannot be used; empty: it answers.

    Cancellation: safe.
    """
    try:
        store = RedisStore(address, monotonic, timeout_s=STORE_LIMIT_S)
    except ImportError:
        return NO_PACKAGE
    try:
        return await store.ask()
    finally:
        await store.aclose()


def _plain(database: Database) -> Database:
    """Return the database without what would only open more connections, or keep them."""
    rules = replace(database.rules, min_idle=0)
    return replace(database, rules=rules, mode=Mode.TRANSACTION, cache=CacheRules())


async def _ask(pools: Pools, database: Database) -> Answer:
    if not database.target.user or not database.target.database:
        return Answer(database=database, is_skipped=True, problem="clients log in there as themselves")
    try:
        async with asyncio.timeout(LIMIT_S):
            pool = pools.find(database.name, database.target.user)
            # By hand: a pool would try again, for as long as a client is willing to wait.
            connection = await pool.opener.open(0, lambda _: None)
            encrypted = connection.transport.get_extra_info("ssl_object")
            connection.close()
            return await _answer(pool, database, encrypted.version() if encrypted is not None else "")
    except TimeoutError:
        return Answer(database=database, problem=f"no answer within {LIMIT_S:g} s")
    except LoginFailed as exc:
        return Answer(database=database, problem=str(exc))
    except (PoolRefused, InnerQueryFailed) as exc:
        error = exc.error
        parts = [error.message, *(each for each in (_field(error, "detail"), _field(error, "hint")) if each)]
        return Answer(database=database, problem="; ".join(parts))


async def _answer(pool: Pool, database: Database, tls: str) -> Answer:
    rows = await inner_query(pool, _QUESTION, ())
    version, is_standby, maximum, in_use = ((value or b"").decode() for value in rows[0])
    return Answer(
        database=database,
        version=version,
        is_standby=is_standby == "t",
        max_connections=int(maximum),
        tls=tls,
        in_use=int(in_use),
    )


def _field(error: object, name: str) -> str:
    return str(getattr(error, name, None) or "")


def crowded(answers: Sequence[Answer]) -> list[str]:
    """Return a sentence for each server that the pools together could ask for more connections than it allows."""
    servers: dict[tuple[str, int], list[Answer]] = {}
    for each in answers:
        if each.max_connections:
            servers.setdefault((each.database.target.host, each.database.target.port), []).append(each)
    found = []
    for (host, port), group in servers.items():
        wanted = sum(each.database.rules.size for each in group)
        allowed = min(each.max_connections for each in group)
        if wanted > allowed:
            pools = "the pool" if len(group) == 1 else f"the {len(group)} pools"
            found.append(
                f"{pools} at {host}:{port} may open {wanted} connections, and the server allows {allowed}:"
                " lower size, or raise max_connections"
            )
    return found
