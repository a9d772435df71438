"""A session of the pool's own: one query with values, on a connection like any other client's (shell over the engine).

The engine sees to it that nothing which clients left on the connection changes what the query means.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from longshore.pool.failures import rejection, server_lost
from longshore.pool.inspection.inspect import usage_of
from longshore.pool.servers.leaving import leave
from longshore.pool.session.engine import SessionEngine
from longshore.pool.session.settings import set_sql
from longshore.pool.session_ids import new_session_id
from longshore.proto.postgres.backend_messages import DataRow, ErrorResponse
from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.errors import violation_response
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.frontend_messages import Bind, Execute, Parse, Sync
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.pool import Pool
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.login_failed import LoginFailed
    from longshore.pool.slots.model import RejectReason
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["InnerQueryFailed", "inner_query"]

_PINNED: Final = {"search_path": set_sql("search_path", "pg_catalog")}
"""Nobody's function of the same name must be run with the pool's rights (CVE-2025-12819)."""
_MAX_ANSWER_BYTES: Final = 1024 * 1024


class InnerQueryFailed(Exception):
    """There is no answer.

    Attributes:
        error: why.
    """

    def __init__(self, error: ErrorResponse) -> None:
        super().__init__(error.message)
        self.error = error


async def inner_query(pool: Pool, sql: str, values: Sequence[str], tenant: str = "") -> list[tuple[bytes | None, ...]]:
    """Return the rows of a query, with ``search_path`` as ``pg_catalog`` alone.

    Args:
        pool: whose connection and account.
        sql: one statement, with ``$1``… for the values.
        values: as text.
        tenant: with whom it shares its part of the pool.

    Raises:
        InnerQueryFailed: no connection, or an error of the database.

    Cancellation: safe; the statement is cancelled.
    """
    session = _InnerSession(pool, sql, values)
    return await session.run(tenant)


class _InnerSession:
    """One query."""

    def __init__(self, pool: Pool, sql: str, values: Sequence[str]) -> None:
        self.session_id = new_session_id()
        self._pool = pool
        self._messages = (
            Parse(b"", sql.encode()),
            Bind(b"", b"", (), tuple(value.encode() for value in values), ()),
            Execute(b""),
            Sync(),
        )
        self._done: asyncio.Future[list[tuple[bytes | None, ...]]] = asyncio.get_running_loop().create_future()
        self._reader = backend_reader(max_whole_bytes=_MAX_ANSWER_BYTES)
        self._server: ServerConnection | None = None
        self._engine: SessionEngine | None = None
        self._rows: list[tuple[bytes | None, ...]] = []
        self._error: ErrorResponse | None = None
        self._is_answered = False

    async def run(self, tenant: str) -> list[tuple[bytes | None, ...]]:
        """See ``inner_query``."""
        try:
            self._pool.acquire(self, tenant)
            return await self._done
        finally:
            self._pool.forget(self.session_id)
            self._discard()

    def server_assigned(self, server: ServerConnection) -> None:
        """Ask."""
        self._server = server
        server.holder = self
        self._engine = SessionEngine(self.session_id, self._pool.shared, dict(_PINNED), server.memory.parameters)
        # Attached first: a session that comes with statements keeps its connection where the mode is "session".
        self._engine.attach(server.memory)
        self._engine.client_received([Frame(each.type, serialize(each)) for each in self._messages])
        self._go_on()

    def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
        """Fail."""
        self._fail(rejection(reason, waited_s, error, usage_of(self._pool)))

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        assert self._engine is not None
        try:
            self._engine.server_received(events)
        except ProtocolViolation as exc:
            self._fail(violation_response(exc))
            self._discard()
            return
        self._go_on()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """Fail."""
        self._server = None
        self._fail(server_lost(error))

    def pause_reading(self) -> None:
        """Nobody writes much."""

    def resume_reading(self) -> None:
        """Likewise."""

    def _go_on(self) -> None:
        engine, server = self._engine, self._server
        assert engine is not None
        assert server is not None
        if engine.wire.to_server:
            server.write(b"".join(engine.wire.to_server))
            engine.wire.to_server.clear()
        self._read(b"".join(engine.wire.to_client))
        engine.wire.to_client.clear()
        if engine.failure is not None:
            self._fail(engine.failure)
            self._discard()
        elif engine.is_done and self._is_answered:
            engine.detach()
            self._server = None
            self._pool.release(server)
            self._finish()

    def _read(self, data: bytes) -> None:
        for event in self._reader.receive_data(data):
            if not isinstance(event, Frame):
                continue
            if event.type == BackendType.ReadyForQuery:
                self._is_answered = True
            elif event.type in (BackendType.DataRow, BackendType.ErrorResponse):
                message = parse_backend(event.type, event.payload)
                if isinstance(message, DataRow):
                    self._rows.append(message.values)
                elif isinstance(message, ErrorResponse):
                    self._error = message

    def _finish(self) -> None:
        if self._error is not None:
            self._fail(self._error)
        elif not self._done.done():
            self._done.set_result(self._rows)

    def _fail(self, error: ErrorResponse) -> None:
        if not self._done.done():
            self._done.set_exception(InnerQueryFailed(error))

    def _discard(self) -> None:
        """Give the connection up, wherever it is."""
        server, self._server = self._server, None
        if server is None or self._engine is None:
            return
        memory, is_dirty = self._engine.abandon()
        if memory is None:
            self._pool.discard(server)
        else:
            leave(self._pool, server, memory, is_dirty=is_dirty, is_polite=False)
