"""A client's connection: start-up and login answered here, then its session (shell over ``SessionEngine``)."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING, TypeAlias

from longshore.pool.leaving import leave
from longshore.pool.login import start_settings
from longshore.pool.session import READY_IDLE, SessionEngine
from longshore.pool.state_model import RejectReason
from longshore.proto.postgres.backend_messages import (
    AuthenticationOk,
    BackendKeyData,
    ErrorResponse,
    ParameterStatus,
)
from longshore.proto.postgres.errors import error_response, violation_response
from longshore.proto.postgres.framing import frontend_reader
from longshore.proto.postgres.frontend_messages import CancelRequest
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.startup import ClientStarted, EncryptionAnswered, ServerStartup
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.pool import Pool
    from longshore.pool.server_connection import LoginFailed, ServerConnection
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["Cancels", "ClientConnection"]

_session_ids = itertools.count(1)

_WHOLE_BYTES = {ord("Q"): 1024 * 1024, ord("P"): 1024 * 1024, ord("B"): 256 * 1024}
"""Longer ones are passed on as they come."""
_UNREAD_BYTES = 256 * 1024
"""So much of what a client sends is kept while it waits."""
_REASONS = {
    RejectReason.TIMED_OUT: ("53300", "no server connection became free"),
    RejectReason.TOO_MANY: ("53300", "too many sessions wait for a server connection"),
    RejectReason.CANNOT_LOG_IN: ("08001", "the pool cannot log in to the database"),
}

Cancels: TypeAlias = "dict[tuple[int, bytes], ClientConnection]"
"""Who is meant by the process id and key of a CancelRequest."""


class ClientConnection(asyncio.Protocol):
    """One client.

    Args:
        find_pool: returns the pool for what the client wants.
        cancels: of all clients that may be cancelled here.
    """

    def __init__(self, find_pool: Callable[[ClientStarted], Pool], cancels: Cancels) -> None:
        self.session_id = next(_session_ids)
        self._find_pool = find_pool
        self._pool: Pool | None = None
        self._cancels = cancels
        self._key = (0x40000000 | self.session_id, os.urandom(4))
        self._transport: asyncio.Transport | None = None
        self._startup: ServerStartup | None = ServerStartup()
        self._started: ClientStarted | None = None
        self._settings: dict[str, str] = {}
        self._engine: SessionEngine | None = None
        self._reader = frontend_reader(whole_bytes=_WHOLE_BYTES)
        self._server: ServerConnection | None = None
        self._rest = b""  # what came behind the StartupMessage
        self._unread_bytes = 0
        self._is_logged_in = False
        self._is_queued = False  # for a server connection
        self._is_closed = False
        self._is_slow = False

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the StartupMessage."""
        self._transport = transport  # type: ignore[assignment]  # uvloop has classes of its own

    def data_received(self, data: bytes) -> None:
        """Take what the client says."""
        try:
            if self._is_logged_in:
                assert self._engine is not None
                self._engine.client_received(self._reader.receive_data(data))
                self._unread_bytes += len(data)
                self._flush()
            elif self._startup is not None:
                self._take_startup(data)
        except ProtocolViolation as exc:
            self._end(violation_response(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up after it, at whatever byte it left."""
        self._is_closed = True
        self._cancels.pop(self._key, None)
        if self._pool is not None:
            self._pool.forget(self.session_id)
        self._let_go()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._is_slow = True
        if self._server is not None:
            self._server.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_slow = False
        if self._server is not None:
            self._server.resume_reading()

    # -- start-up --------------------------------------------------------------------------------

    def _take_startup(self, data: bytes) -> None:
        assert self._startup is not None
        assert self._transport is not None
        while (outcome := self._startup.receive_data(data)) is not None:
            data = b""
            match outcome:
                case EncryptionAnswered(answer=answer):
                    self._transport.write(answer)
                case CancelRequest(process_id=pid, secret_key=key):
                    # Clients take the end of this connection for the word that no later query can be hit.
                    if (meant := self._cancels.get((pid, key))) is not None:
                        meant.cancel(self._transport.close)
                    else:
                        self._transport.close()
                    return
                case ClientStarted():
                    self._begin(outcome)
                    return
                case _:
                    self._end(error_response("FATAL", "08P01", "this pool does not offer TLS"))
                    return

    def _begin(self, started: ClientStarted) -> None:
        """Log the client in; what nobody asked for before has to be tried on a server first."""
        self._started = started
        startup, self._startup = self._startup, None
        assert startup is not None
        self._rest = startup.take_rest()
        if started.replication not in (None, b"false", b"off", b"no", b"0"):
            self._end(error_response("FATAL", "0A000", "replication does not go through a pool", hint=_DIRECT))
            return
        self._pool = self._find_pool(started)
        try:
            self._settings = start_settings(started.parameters, self._pool.parameters or {})
        except ValueError as exc:
            self._end(error_response("FATAL", "42601", str(exc)))
            return
        parameters = self._pool.known_login(self._settings)
        if parameters is None:
            self._queue()
            return
        self._make_engine(parameters)
        self._answer_login()

    def _make_engine(self, parameters: dict[bytes, bytes]) -> SessionEngine:
        assert self._pool is not None
        self._engine = SessionEngine(self.session_id, self._pool.shared, self._settings, parameters)
        self._engine.pid = self._key[0]
        return self._engine

    def _answer_login(self) -> None:
        started, engine = self._started, self._engine
        assert started is not None
        assert engine is not None
        assert self._transport is not None
        out = [serialize(started.negotiate)] if started.negotiate is not None else []
        out.append(serialize(AuthenticationOk()))
        out += (serialize(ParameterStatus(name, value)) for name, value in engine.parameters.items())
        out += (serialize(BackendKeyData(*self._key)), READY_IDLE)
        self._transport.write(b"".join(out))
        self._cancels[self._key] = self
        self._is_logged_in = True
        rest, self._rest = self._rest, b""
        if rest:
            self.data_received(rest)

    def _finish_login(self) -> None:
        """See what a server made of the settings."""
        engine, pool = self._engine, self._pool
        assert engine is not None
        assert pool is not None
        if engine.failure is not None:
            cause = engine.failure_cause or engine.failure
            self._end(error_response("FATAL", cause.sqlstate, cause.message))
        elif engine.is_done:
            engine.wire.to_client.clear()
            pool.note_login(self._settings, engine.parameters)
            self._answer_login()

    # -- the pool --------------------------------------------------------------------------------

    def server_assigned(self, server: ServerConnection) -> None:
        """Go on."""
        assert server.memory is not None
        assert self._pool is not None
        self._is_queued = False
        engine = self._engine or self._make_engine(server.memory.parameters)
        self._server = server
        server.holder = self
        if self._is_slow:
            server.pause_reading()
        engine.attach(server.memory)
        self._flush()

    def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
        """Tell the client."""
        if error is not None and error.error is not None and reason is RejectReason.CANNOT_LOG_IN:
            self._end(error.error)
            return
        sqlstate, message = _REASONS[reason]
        detail = f"waited {waited_s:.1f} s" + (f"; last error: {error}" if error is not None else "")
        self._end(error_response("FATAL", sqlstate, message, detail=detail))

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        assert self._engine is not None
        self._engine.server_received(events)
        self._flush()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """The connection went in the middle of our work."""
        server, self._server = self._server, None
        assert server is not None
        is_told = server.memory is not None and server.memory.relay.is_closed
        if is_told and self._transport is not None:
            self._transport.close()
        else:
            self._end(error or error_response("FATAL", "08006", "the database closed the connection"))

    def cancel(self, on_done: Callable[[], None]) -> None:
        """Cancel what the session does now, wherever; ``on_done`` is called when nothing later can be hit."""
        if self._server is not None:
            assert self._pool is not None
            self._pool.cancel(self._server, on_done)
            return
        if self._engine is not None and self._engine.wants_server and not self._is_closed:
            self._engine.cancel_waiting()
            assert self._pool is not None
            self._pool.forget(self.session_id)
            self._is_queued = False
            self._flush()
        on_done()

    def pause_reading(self) -> None:
        """Take nothing more from the client."""
        if self._transport is not None and not self._is_closed:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if self._transport is not None and not self._is_closed:
            self._transport.resume_reading()

    def _flush(self) -> None:
        """Send what the engine has to send, and do what it asks for."""
        engine, server = self._engine, self._server
        assert engine is not None
        assert self._transport is not None
        wire = engine.wire
        if wire.to_server:
            assert server is not None
            server.write(wire.to_server[0] if len(wire.to_server) == 1 else b"".join(wire.to_server))
            wire.to_server.clear()
        if not self._is_logged_in:
            self._finish_login()
        if engine.is_done and self._server is not None:
            engine.detach()
            self._release(self._server)
        if wire.to_client and self._is_logged_in:
            data = wire.to_client[0] if len(wire.to_client) == 1 else b"".join(wire.to_client)
            wire.to_client.clear()
            self._transport.write(data)
        self._regulate(engine)
        if engine.failure is not None:
            self._end(engine.failure)
        elif engine.is_ended:
            self._transport.close()
        elif engine.wants_server and self._server is None:
            self._queue()

    def _queue(self) -> None:
        """Ask for a server connection, once."""
        assert self._pool is not None
        if not self._is_queued:
            self._is_queued = True
            self._pool.acquire(self)

    def _regulate(self, engine: SessionEngine) -> None:
        """Keep what waits within bounds."""
        if not engine.has_arrears:
            if self._unread_bytes > _UNREAD_BYTES:
                self.resume_reading()
            self._unread_bytes = 0
        elif self._unread_bytes > _UNREAD_BYTES:
            self.pause_reading()

    def _release(self, server: ServerConnection) -> None:
        self._server = None
        assert self._pool is not None
        if self._is_slow:
            server.resume_reading()
        self._pool.release(server)

    def _end(self, error: ErrorResponse) -> None:
        if self._transport is not None and not self._is_closed:
            self._transport.write(serialize(error))
            self._transport.close()
        self._let_go()

    def _let_go(self) -> None:
        """Give the server connection up, wherever it is."""
        server, self._server = self._server, None
        engine, pool = self._engine, self._pool
        if server is None or engine is None or pool is None:
            return
        if engine.wire.to_server:
            server.write(b"".join(engine.wire.to_server))
            engine.wire.to_server.clear()
        if self._is_slow:
            server.resume_reading()
        memory, is_dirty = engine.abandon()
        if memory is None:
            pool.discard(server)
        else:
            leave(pool, server, memory, is_dirty=is_dirty, is_polite=engine.is_ended)


_DIRECT = "connect to the database directly"
