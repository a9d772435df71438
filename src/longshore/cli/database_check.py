"""``longshore check`` asks each database of ``[[hyperdrive]]`` whether it lets us in."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from longshore.cli.words import printable
from longshore.credentials.errors import CredentialError
from longshore.credentials.store import open_store
from longshore.pool.binding.databases import declared_database
from longshore.pool.servers.key_cache import KeyCache
from longshore.pool.servers.login import open_server
from longshore.pool.servers.login_failed import LoginFailed
from longshore.runtime.host.databases import pooled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.config.model import WorkerConfig
    from longshore.pool.servers.target import Target

__all__ = ["database_lines"]

PATIENCE_S: Final = 5.0


def database_lines(config: WorkerConfig) -> Iterator[tuple[bool, str]]:
    """Connect to each database that the pool serves, and yield whether that was right, and a line about it.

    Args:
        config: of the worker.
    """
    for binding in config.hyperdrive:
        if not binding.is_pooled:
            yield True, f"env.{binding.binding}: MySQL has no pool yet; the worker connects directly, with its password"
            continue
        alone = type(config)(
            name=config.name,
            main=config.main,
            module_root=config.module_root,
            project_dir=config.project_dir,
            hyperdrive=(binding,),
        )
        try:
            (database,) = pooled(alone, open_store(os.environ))
            found = asyncio.run(_ask(declared_database(database).target))
        except (CredentialError, ValueError, LoginFailed) as exc:
            yield False, printable(f"env.{binding.binding}: {exc}")
        else:
            yield True, printable(f"env.{binding.binding}: {found}")


def binding_place(target: Target) -> str:
    """Return where a database is."""
    return f"{target.host}:{target.port}"


async def _ask(target: Target) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            server = await open_server(0, target, lambda _: None, keys=KeyCache())
    except TimeoutError:
        place, limit = binding_place(target), f"{PATIENCE_S:g} s"
        raise LoginFailed(f"{place}: no answer within {limit}; check the address, and what lies between") from None
    try:
        version = server.memory.parameters.get(b"server_version", b"?").decode(errors="replace")
        tls = server.transport.get_extra_info("ssl_object")
        how = f"{tls.version()}, {tls.cipher()[0]}" if tls is not None else "without TLS"
        return f"connected to {binding_place(target)} as {target.user}: PostgreSQL {version}, {how}"
    finally:
        server.close()
