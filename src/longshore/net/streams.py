"""``FdStream``: a connected stream socket as a ``longshore.abc.ByteStream`` on any asyncio selector loop.

Theory of operation. The kernel's two questions "may I read" and "may I write" are each kept as one flag:

* ``_may_read`` is True after a readiness event until a read comes back short or would block. While it is
  False the descriptor is in the loop's poll set; a read that knows it would block makes no system call.
  ``_announced`` is True from the call of ``on_readable`` until the owner has read something.
* ``_blocked`` is True after a write was cut short until the loop says that there is room again.

Nothing is read from the kernel until the owner asks (rule K12). When readiness arrives and the owner takes
nothing, the *next* event removes the descriptor from the poll set, because a level-triggered loop would spin; the
hang-up watcher then stands guard for a reset.

Rules that must not be broken:

1. An error is remembered. On Linux a failed ``send`` eats the socket's pending error, after which ``recv``
   reports a clean end-of-file: exactly what rule K5 forbids.
2. The owner may close the stream inside any callback; every method looks at ``_sock`` again afterwards.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from asyncio.trsock import TransportSocket
from time import perf_counter
from typing import TYPE_CHECKING

from longshore.errors import ClosedError, SocketError
from longshore.net.busy_poll import DEFAULT_BUSY_POLL_S, BusyPoll
from longshore.net.errors import broken_connection
from longshore.net.hangup import HangupWatcher

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from longshore.abc import StreamOwner

__all__ = ["FdStream"]

MIN_READ_BYTES = 4096
# A reader that never waits would starve the loop: after so many reads in a row it goes through the loop once.
READS_IN_A_ROW = 16
# How much is thrown away at close() so that the kernel need not answer unread bytes with a RST.
DISCARD_AT_CLOSE_BYTES = 1 << 20
MAX_READ_BYTES = 64 * 1024  # fits the processor's cache together with what is done with it
# A write of this size is taken for a part of a bulk transfer.
BULK_BYTES = 64 * 1024
# About what a processor core's own cache holds.
MAX_UNSENT_BYTES = 128 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def _stops_at_error(loop: AbstractEventLoop) -> bool:
    """Tell whether the loop drops a descriptor at ``EPOLLERR``, as libuv does after one call of the reader.

    When a reset arrives together with bytes, that one call is for the bytes, and of the reset nobody would ever hear.
    """
    return any(kind.__module__.startswith("uvloop") for kind in type(loop).__mro__)  # or a class derived from it


class FdStream:
    """A non-blocking connected stream socket (TCP or Unix) as a byte stream.

    Args:
        sock: connected and non-blocking; the stream owns it from now on.
        loop: the running loop; it must support ``add_reader``.
        address: the peer, for error messages.
        busy_poll_s: how long to poll for an answer before sleeping (``net.busy_poll``), in seconds; 0 for never.
        is_near: the peer answered the connect at once, so it will probably answer a request at once.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_announced",
        "_blocked",
        "_busy_poll",
        "_busy_poll_s",
        "_eof",
        "_error",
        "_expects_answer",
        "_fd",
        "_is_near",
        "_is_starting",
        "_is_tuned",
        "_is_wanted",
        "_loop",
        "_may_busy_poll",
        "_may_read",
        "_owner",
        "_polling",
        "_polling_write",
        "_read_bytes",
        "_reads_left",
        "_sock",
        "_start_deadline",
        "_watched",
        "_write_ended",
    )

    def __init__(
        self,
        sock: socket.socket,
        loop: AbstractEventLoop,
        address: str,
        *,
        busy_poll_s: float = DEFAULT_BUSY_POLL_S,
        is_near: bool = False,
    ) -> None:
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()
        self._loop = loop
        self._address = address
        self._busy_poll_s = busy_poll_s
        self._may_busy_poll = busy_poll_s > 0
        self._busy_poll: BusyPoll | None = None
        self._expects_answer = False
        self._is_near = is_near and busy_poll_s > 0
        self._is_starting = False
        self._is_tuned = False
        self._is_wanted = False
        self._start_deadline = 0.0
        self._owner: StreamOwner | None = None
        self._error: SocketError | None = None
        self._may_read = False
        self._announced = False
        self._polling = False
        self._watched = False
        self._blocked = False
        self._polling_write = False
        self._eof = False
        self._write_ended = False
        self._read_bytes = MIN_READ_BYTES
        self._reads_left = READS_IN_A_ROW

    def set_owner(self, owner: StreamOwner | None) -> None:
        """Say who hears of readiness; the first owner starts the polling."""
        self._owner = owner
        if owner is None or self._sock is None:
            return
        self._announced = False  # so that the next event is announced to the new owner
        if self._is_near:
            self._is_near = False
            self._is_starting = True
            self._start_deadline = perf_counter() + self._busy_poll_s
            self._loop.call_soon(self._start_turn)
        else:
            self._poll()

    def _start_turn(self) -> None:
        """Look for the peer's first bytes before joining the poll set: a short exchange never needs to.

        Joining and leaving it are several system calls, more than all others of a connection that lives for one
        answer. The loop turns between two looks (``net.busy_poll``), and only while somebody waits for bytes.
        """
        if self._sock is None:
            return
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            self._may_read = False
        except OSError as exc:
            # Rule 1: asking has made the kernel forget it. The owner meets it at its next read.
            self._error = self._error or broken_connection(exc, self._address, "read")
            self._may_read = True
        else:
            self._may_read = True
        if self._may_read and self._busy_poll is not None:
            self._busy_poll.hit()
        if self._may_read and self._owner is not None:
            self._announced = True
            self._owner.on_readable()
            if self._may_read:
                self._is_wanted = False
        if self._fd == -1:  # the owner has closed it
            return
        if self._is_wanted and perf_counter() < self._start_deadline:
            self._loop.call_soon(self._start_turn)
        else:
            self._is_starting = False
            self._poll()

    # -- reading ---------------------------------------------------------------------------------

    def try_read(self, max_bytes: int) -> bytes | None:
        """Read what is there; see ``ByteStream.try_read``."""
        if not self._may_read:
            self._not_yet()
            return None
        # Small reads ask for little: a large result buffer costs an allocation even when two bytes come.
        wanted = self._read_bytes
        if wanted > max_bytes:
            wanted = max_bytes
        try:
            data = self._sock.recv(wanted)  # type: ignore[union-attr]  # _may_read implies open
        except OSError as exc:
            self._read_failed(exc)
            return None
        count = len(data)
        if count == wanted:
            self._read_was_full(wanted)
        elif count:
            self._read_was_short(count)
        else:
            self._read_end()
        return data

    def try_read_into(self, buffer: memoryview) -> int | None:
        """Read into the caller's memory; see ``ByteStream.try_read_into``."""
        if not self._may_read:
            self._not_yet()
            return None
        try:
            count = self._sock.recv_into(buffer)  # type: ignore[union-attr]  # _may_read implies open
        except OSError as exc:
            self._read_failed(exc)
            return None
        if count == len(buffer):
            self._read_was_full(count)
        elif count:
            self._read_was_short(count)
        else:
            self._read_end()
        return count

    def peek(self) -> bool | None:
        """Look at the next byte with ``MSG_PEEK``; see ``ByteStream.peek``."""
        if self._sock is None:
            raise self._closed()
        try:
            found = bool(self._sock.recv(1, socket.MSG_PEEK))
        except OSError as exc:
            self._read_failed(exc)
            return None
        self._may_read = True
        if not found:
            self._read_end()
        return found

    def _not_yet(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._sock is None:
            raise self._closed()
        self._is_wanted = True
        if not self._polling:
            self._poll()
        if self._expects_answer and not self._is_starting:  # then that keeps the loop turning
            self._expects_answer = False
            if self._busy_poll is None:
                self._busy_poll = BusyPoll(self._loop, self._busy_poll_s)
            self._busy_poll.begin()

    def _read_was_short(self, count: int) -> None:
        self._announced = False
        # Outside the poll set no event would tell of more: the next read must look for itself.
        self._may_read = self._is_starting
        if self._read_bytes > MIN_READ_BYTES and count < self._read_bytes >> 3:
            self._read_bytes >>= 1
        if not self._polling:
            self._poll()

    def _read_end(self) -> None:
        if self._error is not None:  # rule 1: not an end, the kernel has only forgotten the error
            raise self._error.with_traceback(None)
        self._eof = True

    def _read_was_full(self, wanted: int) -> None:
        """More is probably there: read larger pieces, and go on without the loop, but not for ever."""
        if wanted == self._read_bytes:
            self._read_bytes = min(wanted * 4, MAX_READ_BYTES)
        self._announced = False
        self._reads_left -= 1
        if self._reads_left <= 0 and self._error is None:  # no event follows an error, but unread bytes may
            self._may_read = False
        if not self._polling:
            self._poll()

    def _read_failed(self, exc: OSError) -> None:
        if isinstance(exc, (BlockingIOError, InterruptedError)):
            self._may_read = self._announced = False
            return self._not_yet()
        if self._error is None:
            self._error = broken_connection(exc, self._address, "read")
        self._unpoll()
        raise self._error.with_traceback(None)

    # -- writing ---------------------------------------------------------------------------------

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        """Hand the front of ``data`` to the kernel; see ``ByteStream.try_write``."""
        if self._blocked:
            return 0
        sock = self._sock
        if sock is None or self._error is not None:
            raise self._error.with_traceback(None) if self._error else self._closed()
        self._expects_answer = self._may_busy_poll
        if len(data) >= BULK_BYTES and not self._is_tuned:
            self._bound_send_queue()
        try:
            count = sock.send(data)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as exc:
            raise self._write_failed(exc) from exc
        if count < len(data):
            self._blocked = True
            if not self._polling_write:
                self._polling_write = True
                self._loop.add_writer(self._fd, self._on_writable)
        return count

    def _bound_send_queue(self) -> None:
        """Keep what waits in the kernel short, as this seems to be a bulk transfer.

        What the peer has not asked for yet is better kept here: it stays in the processor's cache until it is
        sent, and the peer's answer need not wait behind megabytes.
        """
        self._is_tuned = True
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is not None and self._sock is not None:
            with contextlib.suppress(OSError):  # not a TCP socket
                self._sock.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT_BYTES)

    def _write_failed(self, exc: OSError) -> SocketError:
        if self._error is None:
            self._error = broken_connection(exc, self._address, "write")
        self._may_read = True  # what arrived before the failure can still be read
        self._unpoll()
        return self._error

    def flush(self) -> bool:
        """Hold nothing back: always True."""
        return True

    def try_write_eof(self, *, closing: bool = False) -> bool:
        """Send FIN; when ``close()`` follows, leave it to that."""
        if closing and self._sock is not None:
            return True
        if self._sock is None:
            raise self._error or self._closed()
        if not self._write_ended:
            self._write_ended = True
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as exc:
                raise self._write_failed(exc) from exc
        return True

    # -- ending ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the descriptor after what was written; unread bytes are discarded first.

        With unread bytes in its receive queue the kernel answers ``close(2)`` with a RST (RFC 1122
        §4.2.2.13), which can destroy the last bytes that were sent before the peer has read them.
        """
        if self._sock is not None:
            left = 0 if self._eof or self._error else DISCARD_AT_CLOSE_BYTES
            with contextlib.suppress(OSError):
                while left > 0 and (discarded := len(self._sock.recv(MAX_READ_BYTES))):
                    left -= discarded
            self._release()

    def abort(self) -> None:
        """Close the descriptor with a RST."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._release()

    def detach(self) -> socket.socket:
        """Give the socket up with everything that is in it; this stream is closed.

        Raises:
            ClosedError: it is closed already.
        """
        if self._sock is None:
            raise self._closed()
        return self._let_go()

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self._fd

    @property
    def transport_socket(self) -> TransportSocket | None:
        """The socket for reading and setting options, as asyncio's transports give it; None when closed."""
        return None if self._sock is None else TransportSocket(self._sock)

    def _release(self) -> None:
        self._let_go().close()

    def _let_go(self) -> socket.socket:
        assert self._sock is not None
        self._unpoll()
        if self._busy_poll is not None:
            self._busy_poll.hit()
        if self._watched:
            HangupWatcher.unwatch(self._loop, self._fd)
        self._unpoll_write()
        self._may_read = self._blocked = False
        sock, self._sock, self._owner, self._fd = self._sock, None, None, -1
        return sock

    def _closed(self) -> ClosedError:
        return ClosedError(f"the connection to {self._address} is closed", address=self._address)

    # -- readiness -------------------------------------------------------------------------------

    def _poll(self) -> None:
        if not self._polling and not self._error and not self._is_starting:
            self._polling = True
            self._loop.add_reader(self._fd, self._on_readable)
            if _stops_at_error(self._loop):
                self._watch()

    def _unpoll(self) -> None:
        if self._polling:
            self._polling = False
            if not self._loop.is_closed():
                self._loop.remove_reader(self._fd)

    def _on_readable(self) -> None:
        if self._busy_poll is not None:
            self._busy_poll.hit()
        self._reads_left = READS_IN_A_ROW
        owner = self._owner
        self._may_read = True
        if self._announced or owner is None:
            # Nobody took what the last event announced: leave the poll set until somebody reads.
            self._unpoll()
            self._watch()
            return
        self._announced = True
        owner.on_readable()

    def _on_writable(self) -> None:
        self._blocked = False
        if self._owner is not None:
            self._owner.on_writable()
        if not self._blocked:
            self._unpoll_write()

    def _unpoll_write(self) -> None:
        if self._polling_write:
            self._polling_write = False
            if not self._loop.is_closed():
                self._loop.remove_writer(self._fd)

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            HangupWatcher.watch(self._loop, self._fd, self._on_hangup)

    def _on_hangup(self) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code and self._error is None:
            self._error = broken_connection(OSError(code, ""), self._address, "read")
            if self._owner is not None:
                self._owner.on_broken(self._error)
