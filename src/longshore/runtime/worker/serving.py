"""``Serving``: the connections of one worker; ``Draining``: what becomes of each when the worker is to end.

Theory of operation. A connection is *tended* when the drain begins, and again whenever a request or a response on it
is complete. What happens to it then:

====================  =========================================  ======================================================
state                 a successor listens                        there is none
====================  =========================================  ======================================================
idle                  its descriptor goes to the successor; the  kept for a short grace, in which a client in the
                      connection is forgotten here without a     middle of its next request is still served; closed
                      word to the client                         then, unless bytes wait in the kernel
request in flight     answered, then idle                        answered with ``connection: close``
response has begun    answered, then idle                        answered, then idle
WebSocket             closed with 1012 (service restart)         closed with 1012
TLS                   as if there were no successor              as above
====================  =========================================  ======================================================

The grace is for the race that HTTP/1.1 leaves open (RFC 9112 §9.3.1): a client that sends on an idle connection while
it is being closed cannot know whether the request was seen. Busy clients send within it and are told to close.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

from longshore.runtime.worker.protocol import WorkerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.runtime.worker.protocol import WorkerWebSocketProtocol

__all__ = ["Draining", "Serving"]

IDLE_GRACE_S = 0.25
"""An idle connection that was used less than this ago is probably about to be used again."""

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.002, 0.05


class Serving(ServerState):
    """What all connections of a worker share."""

    def __init__(self) -> None:
        super().__init__()
        self.draining: Draining | None = None
        self._on_empty: asyncio.Event | None = None

    def connection_ended(self) -> None:
        """Note that a connection left ``connections``."""
        if self._on_empty is not None and not self.connections:
            self._on_empty.set()

    async def wait_empty(self) -> None:
        """Wait until there is no connection.

        Cancellation: safe.
        """
        while self.connections:
            self._on_empty = asyncio.Event()
            await self._on_empty.wait()

    def drain(self, hand_over: Callable[[int], None] | None) -> None:
        """Begin to let every connection go; once more, when the successor it was begun with is gone.

        Args:
            hand_over: passes a duplicate of a descriptor to the successor; None when there is no successor.
        """
        former, self.draining = self.draining, Draining(asyncio.get_running_loop(), hand_over)
        if former is not None:
            former.retire()
        for connection in list(self.connections):
            if isinstance(connection, WorkerProtocol):
                if former is not None and connection.is_idle:
                    connection.read_on()  # it may have been about to move
                self.draining.tend(connection)
            else:
                connection.shutdown()

    def abort(self) -> None:
        """Break every connection that is left."""
        for connection in list(self.connections):
            connection.transport.abort()


class Draining:
    """Lets connections go one by one.

    Args:
        loop: the running one.
        hand_over: see ``Serving.drain``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hand_over: Callable[[int], None] | None) -> None:
        self._loop = loop
        self._hand_over = hand_over

    def retire(self) -> None:
        """Move nothing any more: another one is in charge."""
        self._hand_over = None

    def tend_soon(self, connection: WorkerProtocol) -> None:
        """Look at the connection in the next turn: uvloop writes at the end of this one."""
        self._loop.call_soon(self.tend, connection)

    def tend(self, connection: WorkerProtocol) -> None:
        """Let the connection go if it is idle; otherwise it comes back when it is."""
        if connection.transport.is_closing():
            return
        moves = self._hand_over is not None and connection.can_move
        if not connection.is_idle:
            if not moves:
                connection.say_close()
        elif moves:
            self._move(connection, _FIRST_LOOK_S)
        else:
            self._loop.call_later(max(0.0, IDLE_GRACE_S - connection.idle_s()), self._close_idle, connection)

    def on_request(self, connection: WorkerProtocol) -> None:
        """Judge a request that came while the worker drains."""
        if self._hand_over is None or not connection.can_move:
            connection.say_close()

    def refuse_websocket(self, connection: WorkerWebSocketProtocol) -> None:
        """End a WebSocket that is just being opened."""
        self._loop.call_soon(connection.shutdown)

    def _move(self, connection: WorkerProtocol, look_again_s: float) -> None:
        """Hand the connection over as soon as the kernel has the whole response."""
        if connection.transport.is_closing() or not connection.is_idle or self._hand_over is None:
            return
        connection.stop_reading()
        if not connection.is_flushed:
            self._loop.call_later(look_again_s, self._move, connection, min(look_again_s * 2, _LONGEST_LOOK_S))
            return
        self._hand_over(connection.fileno())
        # Closes the descriptor only: the duplicate keeps the connection, and nothing is sent.
        connection.transport.close()

    def _close_idle(self, connection: WorkerProtocol) -> None:
        if connection.transport.is_closing() or not connection.is_idle:
            return
        if _has_waiting_bytes(connection.fileno()):
            self._loop.call_later(IDLE_GRACE_S, self._close_idle, connection)
        else:
            connection.transport.close()


def _has_waiting_bytes(fd: int) -> bool:
    if fd < 0:
        return False
    with socket.socket(fileno=os.dup(fd)) as sock:
        try:
            return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False
