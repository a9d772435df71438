"""The reading direction of a socket: pulls bytes for one reader at a time (rule K12)."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING

from longshore.aio.promise import Promise
from longshore.aio.waiter import Waiter
from longshore.errors import SocketError, UsageError

if TYPE_CHECKING:
    from longshore.abc import ByteStream
    from longshore.sockets._channel import Channel

__all__ = ["ReadSide"]

# How much ``cancel()`` throws away in one turn of the event loop.
DISCARD_BYTES = 256 * 1024


class ReadSide:
    """Knows whether there is a stream to read from, and if not, why.

    While ``stream`` is None and ``ended`` and ``error`` are unset, the connection is not up yet.
    """

    __slots__ = ("_channel", "_closed", "cancelled", "ended", "error", "stream", "waiter")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._closed: Promise[None] | None = None
        self.stream: ByteStream | None = None
        self.waiter = Waiter()
        self.ended = False
        self.cancelled = False
        self.error: SocketError | None = None

    @property
    def closed(self) -> Promise[None]:
        """Resolves at end-of-file or ``cancel()``, rejects with what else ended the reading."""
        if self._closed is None:
            self._closed = Promise()
            self._settle()
        return self._closed

    @property
    def is_pending(self) -> bool:
        """True while a read waits."""
        return self.waiter.is_waiting

    def cancel(self, reason: object) -> None:
        """Lose interest."""
        self._channel.cancel_read(reason)

    async def read(self, max_bytes: int) -> bytes:
        """Return 1..max_bytes bytes, or ``b""`` at end-of-file."""
        while True:
            stream = self.stream
            if stream is not None:
                try:
                    data = stream.try_read(max_bytes)
                except SocketError as exc:
                    raise self._told(self._channel.on_read_error(exc)) from exc.__cause__
                if data:
                    return data
                if data is not None:
                    self._channel.on_peer_ended()
                    return data
            elif self._is_over():
                return b""
            await self._park()

    async def read_into(self, buffer: memoryview) -> int:
        """Fill the front of ``buffer``; 0 at end-of-file."""
        while True:
            stream = self.stream
            if stream is not None:
                try:
                    count = stream.try_read_into(buffer)
                except SocketError as exc:
                    raise self._told(self._channel.on_read_error(exc)) from exc.__cause__
                if count:
                    return count
                if count is not None:
                    self._channel.on_peer_ended()
                    return count
            elif self._is_over():
                return 0
            await self._park()

    async def _park(self) -> None:
        if self.waiter.is_waiting:
            raise UsageError("a read is already pending on this stream: await it before the next one")
        try:
            await self.waiter
        except CancelledError:
            # It may have been woken for an end that it has not looked at, and nobody will be told twice (rule K7).
            self._channel.loop.call_soon(self._look_unless_read)
            raise

    def _look_unless_read(self) -> None:
        if not self.waiter.is_waiting:
            self.look()

    def _is_over(self) -> bool:
        if self.error is not None:
            raise self._told(self.error).with_traceback(None)
        return self.ended

    def _told(self, error: SocketError) -> SocketError:
        self._channel.is_error_told = True
        return error

    def look(self) -> None:
        """Find out, while nobody reads, whether the peer has ended; takes nothing (unless cancelled)."""
        stream = self._channel.stream if self.cancelled else self.stream
        if stream is None:
            return
        try:
            found = self._discard(stream) if self.cancelled else stream.peek()
        except SocketError as exc:
            self._channel.on_read_error(exc)
        else:
            if found is False:
                self._channel.on_peer_ended()

    def _discard(self, stream: ByteStream) -> bool | None:
        left = DISCARD_BYTES
        while left > 0:
            data = stream.try_read(left)
            if not data:
                return None if data is None else False
            left -= len(data)
        return True

    # -- for the channel -------------------------------------------------------------------------

    def end(self) -> None:
        """End-of-file: every later read returns it."""
        self.ended = True
        self._settle()

    def detach(self) -> None:
        """The stream is gone; reads return end-of-file or raise ``error``."""
        self.stream = None

    def fail(self, error: SocketError) -> None:
        """Make this and every later read raise ``error``, unless the end was already reached."""
        self.stream = None
        if not self.ended:
            self.error = self.error or error
            self._settle()
        self.waiter.wake_soon()

    def _settle(self) -> None:
        if self._closed is None or self._closed.done():
            return
        if self.ended:
            self._closed.resolve(None)
        elif self.error is not None:
            self._closed.reject(self.error)
