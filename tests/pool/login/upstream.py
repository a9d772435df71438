"""Logins on a database, as the pool does them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.pool.servers.key_cache import KeyCache
from longshore.pool.servers.login import open_server
from longshore.pool.servers.target import Target, UpstreamTls
from longshore.proto.postgres.backend_messages import DataRow
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize
from tests.postgres_logins import PASSWORD
from tests.server_process import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.login import LoginSecret
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["LIMIT_S", "ask", "logged_in", "target"]

LIMIT_S = 20.0


def target(port: int, user: str, password: str | None = PASSWORD, **values: object) -> Target:
    """Return a target on the loopback."""
    fields: dict[str, object] = {"host": HOST, "port": port, "user": user, "password": password}
    return Target(**{**fields, "database": "postgres", "tls": UpstreamTls(), **values})  # type: ignore[arg-type]


@asynccontextmanager
async def logged_in(
    where: Target, *, secret: LoginSecret = None, keys: KeyCache | None = None
) -> AsyncIterator[ServerConnection]:
    """Log in; close the connection in the end."""
    lost = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        server = await open_server(7, where, lambda _: lost.set(), secret=secret, keys=keys or KeyCache())
    try:
        yield server
    finally:
        server.close()
        await lost.wait()


async def ask(server: ServerConnection, text: str) -> str | None:
    """Return the only value of a query."""
    holder = _Holder()
    server.holder = holder
    server.write(serialize(Query(text.encode())))
    async with asyncio.timeout(LIMIT_S):
        value = await holder.done
    server.holder = None
    return value


class _Holder:
    def __init__(self) -> None:
        self.done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._value: str | None = None
        self._frames = backend_reader()

    def server_received(self, events: list[FrameEvent]) -> None:
        for event in self._frames.receive_data(b"".join(each.raw for each in events)):
            assert isinstance(event, Frame)
            message = parse_backend(event.type, event.payload)
            if isinstance(message, DataRow):
                found = message.values[0]
                self._value = None if found is None else found.decode()
            if event.raw[:1] == b"Z":
                self.done.set_result(self._value)

    def server_lost(self, error: ErrorResponse | None) -> None:
        self.done.set_exception(EOFError())

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
