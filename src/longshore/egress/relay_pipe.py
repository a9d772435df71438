"""``Pipe``: a driver's own connection and the one that is made for it, joined (shell).

Unlike a tunnel, both ends are TCP, which says by itself how it ends: a FIN is passed on as the end (close_notify under
TLS), and whatever else happens on one side resets the other (rule K5).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from longshore.egress.tunnel_flow import Flow, SinkFailed
from longshore.errors import SocketError

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.abc import ByteStream

__all__ = ["Pipe"]


class Pipe:
    """Carries both directions until both have ended; made inside the running loop.

    Args:
        near: towards the worker; belongs to the pipe.
        far: towards the server; belongs to the pipe.
        on_done: called once, when both are closed.
    """

    def __init__(self, near: ByteStream, far: ByteStream, on_done: Callable[[Pipe], None]) -> None:
        self._ways = (_Way(self, near, far), _Way(self, far, near))
        self._on_done = on_done
        self.is_done = False
        """True when both are closed."""
        near.set_owner(_End(self, *self._ways))
        far.set_owner(_End(self, *reversed(self._ways)))
        try:
            far.flush()  # the last flight of a handshake
        except SocketError:
            self.abort()

    def run(self, way: _Way) -> None:
        """Carry what can be carried now."""
        if self.is_done:
            return
        try:
            is_over = way.run()
        except (SinkFailed, SocketError):
            self.abort()
            return
        if is_over and all(each.is_over for each in self._ways):
            self._finish(reset=False)

    def abort(self) -> None:
        """Reset both. Idempotent, never raises."""
        self._finish(reset=True)

    def _finish(self, *, reset: bool) -> None:
        if self.is_done:
            return
        self.is_done = True
        for way in self._ways:
            if reset:
                way.sink.abort()
            else:
                way.sink.close()
        self._on_done(self)


class _Way:
    """One direction."""

    def __init__(self, pipe: Pipe, source: ByteStream, sink: ByteStream) -> None:
        self.sink = sink
        self.is_over = False
        self._flow = Flow(source, sink, partial(pipe.run, self))

    def run(self) -> bool:
        """Carry, and pass the end on; True when that is done.

        Raises:
            SinkFailed, SocketError: one side failed.
        """
        if not self.is_over and self._flow.run():
            self.is_over = self.sink.try_write_eof()
        return self.is_over


class _End:
    """The owner of one of the two streams."""

    def __init__(self, pipe: Pipe, outwards: _Way, inwards: _Way) -> None:
        self._pipe = pipe
        self._outwards = outwards
        self._inwards = inwards

    def on_readable(self) -> None:
        """Bytes or an end came."""
        self._pipe.run(self._outwards)

    def on_writable(self) -> None:
        """There is room."""
        self._pipe.run(self._inwards)

    def on_broken(self, _: Exception) -> None:
        """It was reset behind unread bytes."""
        self._pipe.abort()
