"""``Flow``: uvicorn's flow control, which notices a client that leaves while reading is paused.

uvicorn stops reading when more than 64 KiB of a body wait for the handler, or when a second request comes before the
first is answered. From then on neither the end nor a reset would be seen, and a handler that does not read would run on
without its client. So the kernel is asked to tell (``longshore.net.hangup``), for just that time. What it cannot tell
is an end that waits, unsent, behind more than the receive buffer holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl

from longshore.net.hangup import HangupWatcher

if TYPE_CHECKING:
    import asyncio

__all__ = ["Flow"]


class Flow(FlowControl):
    """Pauses and resumes one connection.

    Args:
        transport: of the connection.
        loop: its event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(transport)
        self._loop = loop
        self._watched_fd = -1

    def pause_reading(self) -> None:
        """Stop reading in the middle of a request."""
        if not self.read_paused:
            self.stop_reading()
            self._watch()

    def resume_reading(self) -> None:
        """Read again."""
        if self.read_paused:
            self.unwatch()
            self.read_paused = False
            self._transport.resume_reading()

    def stop_reading(self) -> None:
        """Stop reading, and leave the end of the connection in the kernel too: another process will see it."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def unwatch(self) -> None:
        """Ask the kernel no longer; must be called before the descriptor is closed."""
        if self._watched_fd >= 0:
            fd, self._watched_fd = self._watched_fd, -1
            HangupWatcher.unwatch(self._loop, fd)

    def _watch(self) -> None:
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            self._watched_fd = sock.fileno()
            HangupWatcher.watch(self._loop, self._watched_fd, self._on_hangup, with_end=True)

    def _on_hangup(self) -> None:
        # As the transport does it at an end that it reads itself.
        self.unwatch()
        self._transport.close()
