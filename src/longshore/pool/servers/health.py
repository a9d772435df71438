"""Ask a connection that was idle for long whether it is alive (shell).

A peer that vanished without a word, behind a firewall or in a power failure, is noticed only by who sends something.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.framing import Frame
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.servers.connection import ServerConnection
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["HealthProbe"]

_EMPTY: Final = serialize(Query(b""))
_LIMIT_S = 5.0
"""An idle process has nothing to do but to answer."""


class HealthProbe:
    """One question.

    Args:
        server: that nobody uses.
        on_done: is told once whether it is alive.
    """

    def __init__(self, server: ServerConnection, on_done: Callable[[ServerConnection, bool], None]) -> None:
        self._server = server
        self._on_done = on_done
        server.holder = self
        self._timer = asyncio.get_running_loop().call_later(_LIMIT_S, self._end, False)
        server.write(_EMPTY)

    def server_received(self, events: list[FrameEvent]) -> None:
        """Wait for ReadyForQuery."""
        for event in events:
            if not isinstance(event, Frame):
                continue
            if event.type == BackendType.ParameterStatus:
                name, _, value = event.raw[5:-1].partition(b"\0")
                self._server.memory.parameters[name] = value
            elif event.type in (BackendType.ReadyForQuery, BackendType.ErrorResponse):
                self._end(event.type == BackendType.ReadyForQuery)
                return

    def server_lost(self, error: ErrorResponse | None) -> None:
        """It was not."""
        self._end(False)

    def pause_reading(self) -> None:
        """Nobody writes."""

    def resume_reading(self) -> None:
        """Nobody writes."""

    def _end(self, is_alive: bool) -> None:
        self._timer.cancel()
        on_done, self._on_done = self._on_done, _nothing
        self._server.holder = None
        on_done(self._server, is_alive)


def _nothing(_: ServerConnection, __: bool) -> None:
    """Of a question that is answered."""
