"""``ProtocolTransport``: the reading half of an asyncio transport, which calls a protocol.

Theory of operation. One task, ``_read``, reads the socket and hands each chunk to the protocol; the socket resumes
it inside the event that brought the bytes, so a protocol is called as early as by asyncio's own transports. It holds at
most one chunk: that with which a pending read ended after ``pause_reading()`` (rule K12).

``connection_lost`` is the last call, and made once. It follows when the socket's ``closed`` is settled *and* the
task has delivered everything, with two exceptions in which nothing more is to be delivered: this side has
closed, or reading is paused while somebody waits to write, who would otherwise wait for ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longshore.adapters._buffered import feed
from longshore.aio.tasks import spawn
from longshore.aio.waiter import Waiter
from longshore.errors import SocketError, UsageError
from longshore.sockets._transport import SocketTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from longshore.aio.promise import Promise
    from longshore.sockets._socket import Socket

__all__ = ["ProtocolTransport"]

READ_BYTES = 256 * 1024


class ProtocolTransport(SocketTransport):
    """An ``asyncio.Transport`` over an open socket, whose streams it locks.

    Args:
        socket: open.
        protocol: an ``asyncio.Protocol`` or ``asyncio.BufferedProtocol``.
    """

    # Lets the stdlib loop's own start_tls() work; longshore.adapters.protocol.start_tls() does on every loop.
    _start_tls_compatible = True

    def __init__(self, socket: Socket, protocol: asyncio.BaseProtocol) -> None:
        super().__init__(socket)
        self._loop = asyncio.get_running_loop()
        self._protocol: Any = protocol
        self._reading_task: asyncio.Task[None] | None = None
        self._reading_is_paused = False
        self._resumed = Waiter()
        self._unread: bytes | None = None
        self._writing_is_paused = False
        self._verdict: tuple[Exception | None] | None = None
        self._failure: Exception | None = None
        self._is_lost = False
        self._is_upgrading = False

    def start(self) -> None:
        """Call ``connection_made`` and begin to read."""
        self._protocol.connection_made(self)
        self._watch()

    def _watch(self) -> None:
        self._begin_reading()
        self.socket.closed.add_done_callback(self._on_closed)

    def _begin_reading(self) -> None:
        self._reading_task = spawn(self._read(), name=f"read {self.socket.address}")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Call ``protocol`` from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that is called."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # -- reading ---------------------------------------------------------------------------------

    async def _read(self) -> None:
        this_task = asyncio.current_task()
        try:
            await self._read_to_the_end()
        except SocketError:
            pass  # ``closed`` tells it
        except asyncio.CancelledError:
            if self._reading_task is this_task:  # somebody ends all tasks, not upgrade() this one
                self.abort()
            raise
        finally:
            if self._reading_task is this_task:
                self._reading_task = None
                self._lose_if_done()

    async def _read_to_the_end(self) -> None:
        while not self._was_closed and not self._is_lost:
            if self._reading_is_paused:
                await self._resumed
            elif self._unread is None:
                self._unread = await self.held.reader.read(READ_BYTES)
            else:
                data, self._unread = self._unread, None
                if not data:
                    self._call(self._receive_eof, "eof_received()")
                    return
                self._call(self._receive, "data_received()", data)

    def _receive(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            feed(self._protocol, data, lambda: not self._was_closed)
        else:
            self._protocol.data_received(data)

    def _receive_eof(self) -> None:
        if not self._protocol.eof_received():
            self.close()

    def _call(self, callback: Callable[..., None], name: str, *arguments: object, is_fatal: bool = True) -> None:
        """Call the protocol; an exception of it is reported and, as in asyncio, mostly ends the connection."""
        try:
            callback(*arguments)
        except Exception as exc:  # noqa: BLE001 - a protocol may raise anything
            message = f"protocol.{name} call failed"
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
            if is_fatal:
                self._force_close(exc)

    def is_reading(self) -> bool:
        """Return True while the protocol is called for bytes that arrive."""
        return not self._reading_is_paused and not self.is_closing()

    def pause_reading(self) -> None:
        """Call the protocol with no more bytes; the peer is slowed down."""
        self._reading_is_paused = True

    def resume_reading(self) -> None:
        """Call the protocol with bytes again."""
        self._reading_is_paused = False
        self._resumed.wake()

    # -- writing ---------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send or queue ``data``; the protocol's ``pause_writing`` is called when too much waits."""
        super().write(data)
        self._hold_back()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say above how many bytes ``pause_writing`` is called, and down to how many ``resume_writing``."""
        super().set_write_buffer_limits(high, low)
        self._hold_back()

    def _hold_back(self) -> None:
        if self._verdict is not None:
            self._writing_is_paused = True  # nothing will be written any more: see _lose_if_done
            self._lose_if_done()
        elif not self._writing_is_paused and self.get_write_buffer_size() > self._high_bytes:
            self._writing_is_paused = True
            self._call(self._protocol.pause_writing, "pause_writing()", is_fatal=False)
            spawn(self._let_go(), name=f"drain {self.socket.address}")

    async def _let_go(self) -> None:
        try:
            await self._until_low()
        except SocketError:
            self._lose_if_done()
            return
        self._writing_is_paused = False
        if not self._is_lost:
            self._call(self._protocol.resume_writing, "resume_writing()", is_fatal=False)

    # -- TLS -------------------------------------------------------------------------------------

    async def upgrade(
        self, protocol: asyncio.BaseProtocol, context: ssl.SSLContext, server_name: str | None, timeout_s: float | None
    ) -> None:
        """Start TLS; see ``longshore.adapters.protocol.start_tls``.

        Cancellation: resets the connection.
        """
        was_reading = self._reading_task is not None
        try:
            await self._stop_reading()
            if self._unread is not None:
                raise UsageError(
                    "cannot start TLS: the peer has sent bytes that the protocol has not received, because reading is "
                    "paused; an attacker may have injected them"
                )
            self._is_upgrading = True
            self._hold(self.held.start_tls(context, server_name=server_name, timeout_s=timeout_s))
        except BaseException:
            if was_reading:
                self._begin_reading()
            raise
        finally:
            self._is_upgrading = False
        self._protocol = protocol
        self._watch()
        await self._until_open()

    async def _stop_reading(self) -> None:
        task, self._reading_task = self._reading_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    # -- ending ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Flush, then close; the protocol gets no more bytes, and ``connection_lost(None)`` if flushing works."""
        super().close()
        self._resumed.wake()
        self._lose_if_done()

    def abort(self) -> None:
        """Reset the connection now; ``connection_lost(None)`` follows."""
        super().abort()
        self._resumed.wake()
        self._lose_if_done()

    def _force_close(self, error: Exception | None) -> None:
        """Reset the connection because of ``error``; the stdlib's TLS calls it too (``asyncio.sslproto``)."""
        self._failure = error
        self.abort()

    def _on_closed(self, closed: Promise[None]) -> None:
        if self._is_upgrading:
            return  # the old socket's: it resolves when the connection is given to the new one
        error = closed.exception()
        assert error is None or isinstance(error, Exception)
        self._verdict = (error,)
        self._lose_if_done()

    def _lose_if_done(self) -> None:
        if self._verdict is None or self._is_lost or self._has_more_to_deliver():
            return
        self._is_lost = True
        if self._reading_task is not None:  # reading is paused: what was kept for it is given up
            self.socket.abort()
            self._resumed.wake()
        self._loop.call_soon(self._lose)

    def _lose(self) -> None:
        assert self._verdict is not None
        (error,) = self._verdict
        self._protocol.connection_lost(self._failure or (None if self._was_aborted else error))

    def _has_more_to_deliver(self) -> bool:
        if self._reading_task is None or self._was_closed:
            return False
        return not (self._reading_is_paused and self._writing_is_paused)
