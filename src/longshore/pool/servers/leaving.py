"""Server connections that a session has left in the middle of something (shell over ``CleanUp``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.pool.session.clean_up import CleanUp
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from longshore.pool.pool import Pool
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["leave"]

_POLITE_S = 10.0
"""So long may a statement go on whose client said good-bye behind it."""
_BOUND_S = 5.0
"""So long may the end of a cancelled statement take."""


def leave(pool: Pool, server: ServerConnection, memory: ServerMemory, *, is_dirty: bool, is_polite: bool) -> None:
    """Make a connection clean and give it back, or close it."""
    clean_up = CleanUp(memory, is_dirty=is_dirty)
    if clean_up.is_clean:
        pool.release(server)
        return
    server.holder = _Leaving(pool, server, clean_up, is_polite=is_polite)


class _Leaving:
    """Holds a connection until it is clean."""

    def __init__(self, pool: Pool, server: ServerConnection, clean_up: CleanUp, *, is_polite: bool) -> None:
        self._pool = pool
        self._server = server
        self._clean_up = clean_up
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        if is_polite and clean_up.is_busy:
            self._timer = self._loop.call_later(_POLITE_S, self._cancel)
        else:
            self._cancel()
        self._go_on()

    def _cancel(self) -> None:
        if self._clean_up.is_busy:
            self._pool.cancel(self._server)
        self._timer = self._loop.call_later(_BOUND_S, self._give_up)

    def _give_up(self) -> None:
        self._server.holder = None
        self._pool.discard(self._server)

    def _go_on(self) -> None:
        clean_up = self._clean_up
        if clean_up.to_server:
            self._server.write(b"".join(clean_up.to_server))
            clean_up.to_server.clear()
        if clean_up.is_clean or clean_up.is_hopeless:
            self._stop_timer()
            if clean_up.is_clean:
                self._pool.release(self._server)
            else:
                self._give_up()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        try:
            self._clean_up.server_received(events)
        except ProtocolViolation:
            self._clean_up.is_hopeless = True
        self._go_on()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """Nothing is to be done any more."""
        self._stop_timer()

    def pause_reading(self) -> None:
        """Nobody writes."""

    def resume_reading(self) -> None:
        """Nobody writes."""
