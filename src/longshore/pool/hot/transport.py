"""A socket of ``HotEventLoop``: what asyncio's transports do, without their costs (shell).

It has the interface of ``asyncio.Transport``, as far as protocols and ``loop.start_tls`` use it. What is written goes
out at once when it can; what does not fit waits, and the protocol is told to pause as with asyncio.

Compiled when it can be, see ``longshore.pool.hot.compiled``; so it has no base class of the standard library.
"""

from __future__ import annotations

import asyncio
from asyncio.trsock import TransportSocket
from typing import TYPE_CHECKING, Any, ClassVar, Final

from longshore.pool.hot.selector import HotHandler, HotSelector

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

__all__ = ["HotTransport"]

_READ: Final = 1  # EPOLLIN
_WRITE: Final = 4  # EPOLLOUT
_RECEIVED_BYTES: Final = 64 * 1024
_HIGH_BYTES: Final = 64 * 1024
_LOW_BYTES: Final = 16 * 1024


class HotTransport(HotHandler):
    """One connected stream socket.

    Args:
        loop: which it belongs to.
        selector: of the loop.
        sock: non-blocking; closed with the transport.
        protocol: whom to tell.
        peername: of the socket.
        on_closed: called at the very end.
    """

    _start_tls_compatible: ClassVar[bool] = True

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        selector: HotSelector,
        sock: socket.socket,
        protocol: Any,
        peername: Any = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._selector = selector
        self._sock = sock
        self._fd = sock.fileno()
        self._peername = peername
        self._on_closed = on_closed
        self._recv = sock.recv
        self._send = sock.send
        self._out: bytearray | None = None
        self._events = 0
        self._high = _HIGH_BYTES
        self._low = _LOW_BYTES
        self._is_paused = False
        self._is_protocol_paused = False
        self._is_closing = False
        self._is_lost = False  # connection_lost is on its way
        self._is_ended = False  # write_eof
        self._is_at_end = False  # of what the peer sends
        self._cause: BaseException | None = None  # of the end
        self._protocol: Any = None
        self._data_received: Any = None
        self.set_protocol(protocol)

    def start(self, waiter: asyncio.Future[None] | None = None) -> None:
        """Tell the protocol that it is connected, and begin to read."""
        self._protocol.connection_made(self)
        self._watch()
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- events ----------------------------------------------------------------------------------

    def on_events(self, events: int) -> None:
        """Take what epoll says."""
        if self._events & _WRITE and events & ~_READ:
            self._flush()
        if self._events & _READ and events & ~_WRITE:
            self._read()

    def _read(self) -> None:
        if self._is_buffered:
            self._read_into()
            return
        try:
            data = self._recv(_RECEIVED_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._force_close(exc)
            return
        if not data:
            self._end_of_file()
            return
        try:
            self._data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever a protocol raises is reported
            self._fatal_error(exc, "Fatal error: protocol.data_received() call failed.")

    def _read_into(self) -> None:
        """Read for an ``asyncio.BufferedProtocol``."""
        try:
            count = self._sock.recv_into(self._protocol.get_buffer(-1))
            if count:
                self._protocol.buffer_updated(count)
                return
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except OSError as exc:
            self._force_close(exc)
            return
        except BaseException as exc:  # noqa: BLE001 - whatever a protocol raises is reported
            self._fatal_error(exc, "Fatal error: protocol.buffer_updated() call failed.")
            return
        self._end_of_file()

    def _end_of_file(self) -> None:
        self._is_at_end = True
        try:
            is_kept = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever a protocol raises is reported
            self._fatal_error(exc, "Fatal error: protocol.eof_received() call failed.")
            return
        if is_kept:
            self._watch()
        else:
            self.close()

    def _watch(self) -> None:
        """Tell epoll what we wait for."""
        events = 0
        if not self._is_lost:
            if not (self._is_paused or self._is_closing or self._is_at_end):
                events = _READ
            if self._out:
                events |= _WRITE
        if events == self._events:
            return
        if not events:
            self._selector.remove(self._fd)
        elif self._events:
            self._selector.change(self._fd, events)
        else:
            self._selector.add(self._fd, events, self)
        self._events = events

    # -- writing ---------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, now or when there is room."""
        if self._is_ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._is_closing or not data:
            return
        sent = 0
        if not self._out:
            try:
                sent = self._send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as exc:
                self._force_close(exc)
                return
            if sent == len(data):
                return
        if self._out is None:
            self._out = bytearray()
        self._out += memoryview(data)[sent:]
        self._watch()
        if len(self._out) > self._high and not self._is_protocol_paused:
            self._is_protocol_paused = True
            self._call(self._protocol.pause_writing, "protocol.pause_writing() failed")

    def _flush(self) -> None:
        out = self._out
        assert out is not None
        try:
            # A copy of a piece: the view of a bytearray would forbid to shorten it.
            sent = self._send(bytes(out[:_HIGH_BYTES]))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._force_close(exc)
            return
        del out[:sent]
        self._resume_protocol()
        if out:
            return
        self._out = None
        self._watch()
        if self._is_closing:
            self._lose(None)
        elif self._is_ended:
            self._shut_down()

    def _resume_protocol(self) -> None:
        if self._is_protocol_paused and self.get_write_buffer_size() <= self._low:
            self._is_protocol_paused = False
            self._call(self._protocol.resume_writing, "protocol.resume_writing() failed")

    def _call(self, function: Callable[[], None], message: str) -> None:
        try:
            function()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever a protocol raises is reported
            self._report(exc, message)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send them as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more will come, behind what is still to be sent."""
        if self._is_closing or self._is_ended:
            return
        self._is_ended = True
        if not self._out:
            self._shut_down()

    def _shut_down(self) -> None:
        try:
            self._sock.shutdown(1)
        except OSError as exc:
            self._force_close(exc)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return len(self._out) if self._out is not None else 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when the protocol is resumed and paused."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is paused and resumed."""
        if high is None:
            high = _HIGH_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low

    # -- reading ---------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Read nothing more."""
        self._is_paused = True
        self._watch()

    def resume_reading(self) -> None:
        """Go on."""
        self._is_paused = False
        self._watch()

    def is_reading(self) -> bool:
        """Return whether it reads."""
        return not (self._is_paused or self._is_closing)

    # -- the end ---------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Return whether it ends."""
        return self._is_closing

    def close(self) -> None:
        """End it when everything is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        self._watch()
        if not self._out:
            self._lose(None)

    def abort(self) -> None:
        """End it now."""
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        """End it now, because of something; asyncio's TLS calls it by this name."""
        self._is_closing = True
        self._out = None
        self._lose(exc)

    def _fatal_error(self, exc: BaseException, message: str) -> None:
        self._report(exc, message)
        self._force_close(exc)

    def _report(self, exc: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
        )

    def _lose(self, exc: BaseException | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._watch()
        self._cause = exc
        self._selector.end(self)

    def on_end(self) -> None:
        """Tell the protocol that the connection is over."""
        protocol, cause = self._protocol, self._cause
        try:
            protocol.connection_lost(cause)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever a protocol raises is reported
            self._report(exc, "protocol.connection_lost() failed")
        finally:
            self._sock.close()
            # Or the two would keep each other until the collector finds them.
            self._protocol = self._data_received = self._cause = None
            if self._on_closed is not None:
                self._on_closed()

    # -- what it is ------------------------------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        """Tell somebody else from now on."""
        self._protocol = protocol
        self._is_buffered = isinstance(protocol, asyncio.BufferedProtocol)
        self._data_received = None if self._is_buffered else protocol.data_received

    def get_protocol(self) -> Any:
        """Return whom it tells."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``socket``, ``peername`` or ``sockname``."""
        if name == "socket":
            return TransportSocket(self._sock)
        if name == "peername":
            return self._peername
        try:
            if name == "sockname":
                return self._sock.getsockname()
        except OSError:
            return default
        return default
