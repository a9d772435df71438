"""The writing direction of a socket: a bounded queue in front of the stream (rules K2 and K12).

A ``write()`` has *acknowledged* its bytes when it returns: they are with the kernel, or in the queue, which is flushed
before the socket closes; if they are lost after that, ``closed`` says so. A chunk is queued whole or not at
all: cancelling a ``write()`` never leaves half a chunk in the stream.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from longshore.aio.promise import Promise
from longshore.aio.waiter import Waiter
from longshore.core.write_queue import WriteQueue
from longshore.errors import SocketError

if TYPE_CHECKING:
    from longshore.abc import ByteStream
    from longshore.sockets._channel import Channel

__all__ = ["WriteSide"]


class WriteSide:
    """Knows whether there is a stream to write to, and if not, why.

    While ``stream`` is None and ``error`` is unset, the connection is not up yet: bytes are queued.
    """

    __slots__ = (
        "_channel",
        "_closed",
        "_closing",
        "_high_water_mark",
        "_waiters",
        "abort_error",
        "ending",
        "error",
        "queue",
        "shut",
        "stream",
    )

    def __init__(self, channel: Channel, high_water_mark: int) -> None:
        self._channel = channel
        self._high_water_mark = high_water_mark
        self._closed: Promise[None] | None = None
        # Writers in order of their calls; the head is woken, and wakes the next when it is done.
        self._waiters: deque[Waiter] | None = None
        self.queue = WriteQueue()
        self.stream: ByteStream | None = None
        self.error: SocketError | None = None
        self.abort_error: SocketError | None = None
        self.ending = False
        self._closing = False
        self.shut = False

    @property
    def closed(self) -> Promise[None]:
        """Resolves when everything is flushed and FIN is sent, rejects with what else ended the writing."""
        if self._closed is None:
            self._closed = Promise()
            self._settle()
        return self._closed

    @property
    def desired_size(self) -> int:
        """Bytes that may be written before ``write()`` waits; 0 or less: it would wait."""
        return 0 if self.is_refusing else self._high_water_mark - self.queue.size_bytes

    @property
    def is_refusing(self) -> bool:
        """True when no more bytes are taken."""
        return self.ending or self.error is not None

    @property
    def is_pending(self) -> bool:
        """True while a ``write()`` waits."""
        return bool(self._waiters)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send or queue ``data``; return when less than the high-water mark waits."""
        if self.ending or self.error is not None:
            raise self._refusal()
        stream = self.stream
        queue = self.queue
        if stream is not None and not queue.size_bytes and not self._waiters:
            try:
                sent = stream.try_write(data)
            except SocketError as exc:
                self._channel.is_error_told = True
                raise self._channel.on_write_error(exc) from exc.__cause__
            if sent == len(data):
                return
            queue.append(data, sent)
        else:
            await self._until_below_mark()
            queue.append(data)
            if queue.size_bytes == len(data) and self.stream is not None:
                self.flush()
        if queue.size_bytes >= self._high_water_mark:
            await self._until_below_mark(queued=True)

    async def _until_below_mark(self, *, queued: bool = False) -> None:
        """Wait for room, in the order of calls.

        Args:
            queued: the caller's bytes are in the queue; an orderly close still delivers them.
        """
        if not self._waiters and self.queue.size_bytes < self._high_water_mark:
            return
        waiter = Waiter()
        if self._waiters is None:
            self._waiters = deque()
        # A writer whose bytes are queued already goes before those that still wait to queue theirs.
        (self._waiters.appendleft if queued else self._waiters.append)(waiter)
        try:
            while self._must_wait(waiter):
                await waiter
        finally:
            self._waiters.remove(waiter)
            self._wake_next()
        if self.is_refusing and not (queued and self.ending):
            raise self._refusal()

    def _refusal(self) -> SocketError:
        self._channel.is_error_told = True
        if self.error is None:
            return self._channel.peer_ended_error()
        return self.error.with_traceback(None)

    def _must_wait(self, waiter: Waiter) -> bool:
        if self.is_refusing:
            return False
        assert self._waiters is not None
        return self._waiters[0] is not waiter or self.queue.size_bytes >= self._high_water_mark

    async def wait_ready(self) -> None:
        """Wait until ``desired_size`` is above 0."""
        if self.is_refusing:
            raise self._refusal()
        await self._until_below_mark()

    # -- for the channel -------------------------------------------------------------------------

    def flush(self) -> bool:
        """Send what is queued, then FIN if the side is ending; True when nothing waits any more."""
        stream = self.stream
        if stream is None:
            return False
        try:
            flushed = self._send_queue(stream) and self._finish(stream)
        except SocketError as exc:
            self._channel.on_write_error(exc)
            return False
        self._wake_next()
        return flushed

    def _send_queue(self, stream: ByteStream) -> bool:
        queue = self.queue
        while queue.size_bytes:
            chunk = queue.front()
            sent = stream.try_write(chunk)
            queue.consume(sent)
            if sent < len(chunk):
                return False
        return True

    def _finish(self, stream: ByteStream) -> bool:
        if not stream.flush():
            return False
        if not self.ending or self.shut:
            return True
        try:
            if not stream.try_write_eof(closing=self._closing):
                return False
        except SocketError:
            # All bytes were sent. A peer that hung up without waiting for our farewell (RFC 8446 §6.1 lets it) did no
            # harm when this side had nothing left to do but to close.
            if not self._closing:
                raise
        self.shut = True
        self._settle()
        self._channel.on_write_shut()
        return True

    def end(self, error: SocketError | None, *, closing: bool = False) -> None:
        """Take no more bytes, flush, and send FIN.

        Args:
            error: what writing raises from now on; None because the peer has ended the connection.
            closing: nothing is left to do after that but to close the connection.
        """
        self._closing = self._closing or closing
        if not self.ending and self.error is None:  # a side that failed stays as it is, without a FIN
            self.ending = True
            self.error = error
            self._wake_all()
        self.flush()

    def fail(self, error: SocketError) -> None:
        """Drop what is queued; this and every later write raises ``error``."""
        self.queue.clear()
        if not self.shut:
            if self.ending or self.error is None:
                self.error = error
            self.ending = False
            self._settle()
        self._wake_all()

    def refuse(self, error: SocketError) -> None:
        """Take no more bytes; what is queued is still sent, but not by this side."""
        self.error = self.error or error
        self._settle()
        self._wake_all()

    def detach(self) -> None:
        """The stream is gone."""
        self.stream = None

    def _wake_next(self) -> None:
        if self._waiters and (self.is_refusing or self.queue.size_bytes < self._high_water_mark):
            self._waiters[0].wake_soon()

    def _wake_all(self) -> None:
        for waiter in tuple(self._waiters or ()):
            waiter.wake_soon()

    def _settle(self) -> None:
        if self._closed is None or self._closed.done():
            return
        if self.shut:
            self._closed.resolve(None)
        elif self.error is not None and not self.ending:
            self._closed.reject(self.error)
