"""Secrets of clients that a database knows: ``auth_query`` (shell)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.pool.inner_session import InnerQueryFailed, inner_query
from longshore.pool.refusals import PoolRefused
from longshore.proto.postgres.auth import parse_secret
from longshore.proto.postgres.errors import error_response

if TYPE_CHECKING:
    from longshore.pool.pool import Pool
    from longshore.pool.pools import Pools
    from longshore.proto.postgres.auth import Secret

__all__ = ["DEFAULT_QUERY", "AuthQuery"]

DEFAULT_QUERY: Final = (
    "SELECT usename, CASE WHEN valuntil OPERATOR(pg_catalog.<) pg_catalog.now() THEN NULL ELSE passwd END"
    " FROM pg_catalog.pg_shadow WHERE usename OPERATOR(pg_catalog.=) $1"
)
"""Of PostgreSQL's own users; only a superuser may read them, so others ask a SECURITY DEFINER function."""
_CACHE_S: Final = 10.0
_MAX_CACHED: Final = 10_000
_COLUMNS: Final = 2


class AuthQuery:
    """Asks a database for secrets; a ``SecretSource``.

    Args:
        pools: where the database is.
        database: of the configuration; its target has an account of its own that may ask.
        query: with the user's name as ``$1``; gives name and secret. Names in it must be schema-qualified, because
            ``search_path`` is ``pg_catalog``.
        cache_s: how long an answer holds; shorter when a login fails with it.
    """

    def __init__(self, pools: Pools, database: str, query: str = DEFAULT_QUERY, *, cache_s: float = _CACHE_S) -> None:
        self._pools = pools
        self._database = database
        self._query = query
        self._cache_s = cache_s
        self._cache: OrderedDict[str, tuple[float, Secret | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Secret | None]] = {}

    def cached(self, user: str) -> tuple[Secret | None] | None:
        """Return what is known at once; see ``SecretSource``."""
        found = self._cache.get(user)
        return None if found is None or monotonic() >= found[0] else (found[1],)

    async def find(self, user: str) -> Secret | None:
        """Return the secret of a user; see ``SecretSource``.

        Raises:
            PoolRefused: the database does not say.

        Cancellation: safe; what others wait for too goes on.
        """
        if "\0" in user:
            return None
        task = self._asking.get(user)
        if task is None:
            task = spawn(self._ask(user), name="longshore auth_query", on_done=lambda task: self._asked(user, task))
            self._asking[user] = task
        return await asyncio.shield(task)

    def forget(self, user: str) -> None:
        """Ask again next time."""
        self._cache.pop(user, None)

    def _asked(self, user: str, task: asyncio.Task[Secret | None]) -> None:
        del self._asking[user]
        if not task.cancelled():
            task.exception()  # whoever asked may have gone: then nobody takes it

    async def _ask(self, user: str) -> Secret | None:
        try:
            rows = await inner_query(self._pool(), self._query, [user])
        except InnerQueryFailed as exc:
            raise self._unknown(f"{exc.error.sqlstate}: {exc}") from exc
        secret = self._secret_of(user, rows)
        self._cache[user] = (monotonic() + self._cache_s, secret)
        self._cache.move_to_end(user)
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return secret

    def _pool(self) -> Pool:
        declared = self._pools.databases.get(self._database)
        if declared is None or not declared.target.user:
            raise self._unknown(f"database {self._database!r} has no account of its own in the configuration")
        return self._pools.find(self._database, declared.target.user)

    def _secret_of(self, user: str, rows: list[tuple[bytes | None, ...]]) -> Secret | None:
        if not rows:
            return None
        if len(rows) > 1 or len(rows[0]) < _COLUMNS:
            raise self._unknown(
                f"auth_query gave {len(rows)} rows of {len(rows[0])} columns, not one of name and secret"
            )
        name, secret = rows[0][:_COLUMNS]
        if name != user.encode() or secret is None:
            return None
        return parse_secret(secret.decode("utf-8", "surrogateescape")) if secret else None

    def _unknown(self, reason: str) -> PoolRefused:
        """Return what to tell clients: nothing of the reason, which is the operator's."""
        error = error_response("FATAL", "08006", "the pool cannot find out who may log in", hint="see the pool's log")
        return PoolRefused(error, reason)
