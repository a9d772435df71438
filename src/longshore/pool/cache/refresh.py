"""A newer result is fetched in the background: a session of its own, with the settings of whoever asked (shell)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from longshore.pool.cache.recording import Recording
from longshore.pool.servers.leaving import leave
from longshore.pool.session.engine import SessionEngine
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    import asyncio

    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.cache.question import Flight, Question
    from longshore.pool.pool import Pool
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.login_failed import LoginFailed
    from longshore.pool.slots.model import RejectReason
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["Refresh"]

_ids = itertools.count(-1, -1)  # no session of a client has such a number
_LIMIT_S = 60.0


class Refresh:
    """One.

    Args:
        pool: where the server connection comes from.
        cache: of the pool.
        question: what to ask.
        flight: of the question.
        loop: the running one.
    """

    def __init__(
        self, pool: Pool, cache: PoolCache, question: Question, flight: Flight, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.session_id = next(_ids)
        self._pool = pool
        self._cache = cache
        self._question = question
        self._flight = flight
        self._recording = Recording(question.max_bytes, is_simple=question.batch.query is not None)
        self._engine = SessionEngine(self.session_id, pool.shared, dict(question.settings), dict(question.parameters))
        self._engine.desk = None  # it shall ask the database
        self._server: ServerConnection | None = None
        self._is_over = False
        self._timer = loop.call_later(_LIMIT_S, self.close)

    def start(self) -> None:
        """Ask."""
        self._engine.client_received(self._question.frames())
        self._pool.acquire(self, self._question.tenant)

    def close(self) -> None:
        """Give up; idempotent."""
        if not self._is_over:
            self._end()
            self._cache.cache.failed(self._flight)

    # -- for the pool ----------------------------------------------------------------------------

    def server_assigned(self, server: ServerConnection) -> None:
        """Go on."""
        self._server = server
        server.holder = self
        self._engine.attach(server.memory)
        self._flush()

    def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
        """There is no connection, and so no newer result."""
        self.close()

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        try:
            self._engine.server_received(events)
        except ProtocolViolation:
            self.close()
            return
        self._flush()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """The connection went."""
        self._server = None
        self.close()

    def pause_reading(self) -> None:
        """Nobody writes more than one question."""

    def resume_reading(self) -> None:
        """Nobody writes more than one question."""

    def _flush(self) -> None:
        engine, server = self._engine, self._server
        wire = engine.wire
        if wire.to_server and server is not None:
            server.write(b"".join(wire.to_server))
            wire.to_server.clear()
        self._recording.take(wire.to_client)
        wire.to_client.clear()
        if engine.failure is not None:
            self.close()
        elif engine.is_done and server is not None:
            self._land()

    def _land(self) -> None:
        cache, answer = self._cache.cache, self._recording.answer()
        self._end()
        if answer is not None:
            cache.landed(self._flight, self._question, self._cache.versions, answer)
        elif self._recording.is_oversized:
            cache.oversized(self._flight, self._question.max_age_s)
        else:
            cache.failed(self._flight)

    def _end(self) -> None:
        """Give the server connection back, in whatever state it is."""
        self._is_over = True
        self._timer.cancel()
        self._pool.forget(self.session_id)
        server, self._server = self._server, None
        if server is None:
            return
        memory, is_dirty = self._engine.abandon()
        if memory is None:
            self._pool.discard(server)
        else:
            leave(self._pool, server, memory, is_dirty=is_dirty, is_polite=False)
