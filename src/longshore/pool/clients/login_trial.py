"""Settings that no client asked for before are tried on a server connection (shell).

A server refuses what it does not know, and reports other parameters than after the pool's own login. So the first
client with such settings waits for one; ``Pool.note_login`` spares the others that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.failures import rejection
from longshore.pool.inspection.inspect import usage_of
from longshore.pool.servers.leaving import leave
from longshore.pool.session.engine import SessionEngine
from longshore.proto.postgres.errors import error_response, violation_response
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.pool import Pool
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.login_failed import LoginFailed
    from longshore.pool.slots.model import RejectReason
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["LoginTrial"]


class LoginTrial:
    """One trial.

    Args:
        session_id: of the client.
        pool: where it wants to.
        settings: name → statement.
        on_done: is given the client's session, or what to tell the client.
    """

    def __init__(
        self,
        session_id: int,
        pool: Pool,
        settings: dict[str, str],
        on_done: Callable[[SessionEngine | ErrorResponse], None],
    ) -> None:
        self.session_id = session_id
        self._pool = pool
        self._settings = settings
        self._on_done = on_done
        self._server: ServerConnection | None = None
        self._engine: SessionEngine | None = None

    def begin(self, tenant: str) -> None:
        """Ask for a connection; ``on_done`` may be called at once."""
        self._pool.acquire(self, tenant)

    def give_up(self) -> None:
        """Stop: the client is gone; ``on_done`` is not called."""
        self._on_done = _nothing
        self._pool.forget(self.session_id)
        self._discard()

    def server_assigned(self, server: ServerConnection) -> None:
        """Make the settings."""
        self._server = server
        server.holder = self
        self._engine = SessionEngine(self.session_id, self._pool.shared, self._settings, server.memory.parameters)
        self._engine.attach(server.memory)
        self._go_on()

    def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
        """Tell the client."""
        self._on_done(rejection(reason, waited_s, error, usage_of(self._pool)))

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        assert self._engine is not None
        try:
            self._engine.server_received(events)
        except ProtocolViolation as exc:
            self._end(violation_response(exc))
            return
        self._go_on()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """The connection went in the middle of it."""
        self._server = None
        self._on_done(error or error_response("FATAL", "08006", "the database closed the connection"))

    def pause_reading(self) -> None:
        """Nobody writes more than the settings."""

    def resume_reading(self) -> None:
        """Likewise."""

    def _go_on(self) -> None:
        engine, server = self._engine, self._server
        assert engine is not None
        assert server is not None
        if engine.wire.to_server:
            server.write(b"".join(engine.wire.to_server))
            engine.wire.to_server.clear()
        if engine.failure is not None:
            cause = engine.failure_cause or engine.failure
            self._end(error_response("FATAL", cause.sqlstate, cause.message))
        elif engine.is_done:
            engine.detach()
            engine.wire.to_client.clear()
            self._server = None
            self._pool.note_login(self._settings, engine.parameters)
            self._pool.release(server)
            self._on_done(engine)

    def _end(self, error: ErrorResponse) -> None:
        self._discard()
        self._on_done(error)

    def _discard(self) -> None:
        server, self._server = self._server, None
        if server is None or self._engine is None:
            return
        memory, is_dirty = self._engine.abandon()
        if memory is None:
            self._pool.discard(server)
        else:
            leave(self._pool, server, memory, is_dirty=is_dirty, is_polite=False)


def _nothing(_: object) -> None:
    """Of a client that is gone."""
