"""Byte streams without sockets: two ends in memory that behave like the two ends of a TCP connection.

A ``MemoryStream`` keeps the contract of ``longshore.abc.ByteStream`` (``check_stream`` runs on it) and adds
what no kernel offers: a reset or a blocked write at a moment that the test chooses.

Rules that must not be broken:

1. A callback is never called inside a call of the same or the other end: it is scheduled with
   ``loop.call_soon``, and looks again whether there still is a reason for it.
2. As in the kernel, what had arrived before a reset can still be read; what follows is the error, never
   end-of-file.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, final

from longshore.errors import ArgumentValueError, ClosedError, ResetError, SocketError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.abc import StreamOwner

__all__ = ["MemoryStream", "memory_stream_pair"]

DEFAULT_CAPACITY_BYTES = 64 * 1024


def memory_stream_pair(
    *, capacity_bytes: int = DEFAULT_CAPACITY_BYTES, names: tuple[str, str] = ("memory-a", "memory-b")
) -> tuple[MemoryStream, MemoryStream]:
    """Return two connected ends; what is written to one is read from the other.

    Args:
        capacity_bytes: how much each direction holds before a write is cut short.
        names: the ends' names in error messages.

    Raises:
        ArgumentValueError: ``capacity_bytes`` is less than 1.
        RuntimeError: no event loop is running.
    """
    if capacity_bytes < 1:
        raise ArgumentValueError(f"capacity_bytes {capacity_bytes!r} is too small: it must be at least 1")
    loop = asyncio.get_running_loop()
    there, back = _Pipe(capacity_bytes), _Pipe(capacity_bytes)
    first = MemoryStream(loop, back, there, peer_name=names[1])
    second = MemoryStream(loop, there, back, peer_name=names[0])
    first._peer, second._peer = second, first
    return first, second


@final
class _Pipe:
    """One direction."""

    __slots__ = ("buffer", "capacity_bytes", "is_ended")

    def __init__(self, capacity_bytes: int) -> None:
        self.buffer = bytearray()
        self.capacity_bytes = capacity_bytes
        self.is_ended = False  # the writer sent its end-of-file

    def take(self, max_bytes: int) -> bytes:
        data = bytes(self.buffer[:max_bytes])
        del self.buffer[:max_bytes]
        return data

    def room_bytes(self) -> int:
        return self.capacity_bytes - len(self.buffer)


@final
class MemoryStream:
    """One end of a connection in memory; made by ``memory_stream_pair``.

    Beside the methods of ``ByteStream``: ``inject_reset()`` and ``stall_writes()``.
    """

    __slots__ = (
        "_error",
        "_incoming",
        "_is_closed",
        "_is_stalled",
        "_loop",
        "_outgoing",
        "_owner",
        "_peer",
        "_peer_name",
        "_wants_read",
        "_wants_write",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, incoming: _Pipe, outgoing: _Pipe, *, peer_name: str) -> None:
        self._loop = loop
        self._incoming = incoming
        self._outgoing = outgoing
        self._peer: MemoryStream | None = None  # set by memory_stream_pair, taken away at the end
        self._peer_name = peer_name
        self._owner: StreamOwner | None = None
        self._error: SocketError | None = None
        self._is_closed = False
        self._is_stalled = False
        self._wants_read = False  # the owner was told "nothing yet" and expects on_readable
        self._wants_write = False  # the owner was told "too few" and expects on_writable

    def set_owner(self, owner: StreamOwner | None) -> None:
        """Say who hears of readiness; see ``ByteStream.set_owner``."""
        self._owner = owner
        self._wants_read = True
        self._announce_readable()

    # -- reading ---------------------------------------------------------------------------------

    def try_read(self, max_bytes: int) -> bytes | None:
        """Take what is there; see ``ByteStream.try_read``."""
        if max_bytes < 1:
            raise ArgumentValueError(f"max_bytes {max_bytes!r} is too small: it must be at least 1")
        found = self.peek()
        if not found:
            return None if found is None else b""
        data = self._incoming.take(max_bytes)
        self._wants_read = not self._incoming.buffer
        if self._peer is not None:
            self._peer._announce_writable()
        return data

    def try_read_into(self, buffer: memoryview) -> int | None:
        """Take what is there into the caller's memory; see ``ByteStream.try_read_into``."""
        data = self.try_read(len(buffer))
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def peek(self) -> bool | None:
        """Look without taking; see ``ByteStream.peek``."""
        if self._is_closed:
            raise self._closed()
        if self._incoming.buffer:
            return True
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._incoming.is_ended:
            return False
        self._wants_read = True
        return None

    # -- writing ---------------------------------------------------------------------------------

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        """Give the front of ``data`` to the other end; see ``ByteStream.try_write``.

        Raises:
            ResetError: the connection broke, or the other end was closed.
            UsageError: ``try_write_eof()`` was called before.
        """
        self._check_writable()
        if self._outgoing.is_ended:
            raise UsageError("try_write_eof() has ended this direction: nothing can be written any more")
        count = min(len(data), self._room_bytes())
        self._outgoing.buffer += memoryview(data)[:count]
        self._wants_write = count < len(data)
        if count and self._peer is not None:
            self._peer._announce_readable()
        return count

    def flush(self) -> bool:
        """Hold nothing back: always True."""
        return True

    def try_write_eof(self, *, closing: bool = False) -> bool:
        """End this direction; False while writes are stalled."""
        self._check_writable()
        if self._is_stalled:
            self._wants_write = True
            return False
        self._outgoing.is_ended = True
        if self._peer is not None:
            self._peer._announce_readable()
        return True

    def _check_writable(self) -> None:
        if self._is_closed:
            raise self._closed()
        if self._error is None and self._peer is None:
            self._error = ResetError(f"the peer {self._peer_name} no longer reads: it is closed", during="write")
        if self._error is not None:
            raise self._error.with_traceback(None)

    def _room_bytes(self) -> int:
        return 0 if self._is_stalled else self._outgoing.room_bytes()

    # -- ending ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End both directions; what was written is still delivered. See ``ByteStream.close``."""
        peer = self._release()
        if peer is not None:
            self._outgoing.is_ended = True
            peer._peer = None
            peer._announce_readable()
            peer._announce_writable()

    def abort(self) -> None:
        """End the connection with a reset. See ``ByteStream.abort``."""
        peer = self._release()
        if peer is not None:
            peer._break()

    def fileno(self) -> int:
        """Return -1: there is no descriptor."""
        return -1

    def _release(self) -> MemoryStream | None:
        peer, self._peer, self._owner, self._is_closed = self._peer, None, None, True
        return peer

    def _closed(self) -> ClosedError:
        return ClosedError(f"the connection to {self._peer_name} is closed")

    # -- injection -------------------------------------------------------------------------------

    def inject_reset(self) -> None:
        """Break the connection under both ends, as a network does that answers both with a RST."""
        if not self._is_closed:
            peer = self._peer
            self._break()
            if peer is not None:
                peer._break()

    def stall_writes(self, is_stalled: bool = True) -> None:
        """Accept no bytes and no end-of-file from the owner, as a full send buffer does; False ends it."""
        self._is_stalled = is_stalled
        self._announce_writable()

    def _break(self) -> None:
        self._peer = None
        if self._error is None:
            self._error = ResetError(f"the connection to {self._peer_name} was reset", during="read")
        if self._wants_read:
            self._announce_readable()
        else:
            self._soon(self._tell_broken)
        self._announce_writable()

    # -- readiness -------------------------------------------------------------------------------

    def _announce_readable(self) -> None:
        if self._wants_read:
            self._soon(self._tell_readable)

    def _announce_writable(self) -> None:
        if self._wants_write:
            self._soon(self._tell_writable)

    def _soon(self, tell: Callable[[StreamOwner], None]) -> None:
        if self._owner is not None:
            self._loop.call_soon(self._tell, self._owner, tell)

    def _tell(self, owner: StreamOwner, tell: Callable[[StreamOwner], None]) -> None:
        if self._owner is owner:
            tell(owner)

    def _tell_readable(self, owner: StreamOwner) -> None:
        is_readable = self._incoming.buffer or self._incoming.is_ended or self._error is not None
        if self._wants_read and is_readable:
            self._wants_read = False
            owner.on_readable()

    def _tell_broken(self, owner: StreamOwner) -> None:
        assert self._error is not None
        owner.on_broken(self._error)

    def _tell_writable(self, owner: StreamOwner) -> None:
        if self._wants_write and (self._room_bytes() or self._error is not None or self._peer is None):
            self._wants_write = False
            owner.on_writable()
