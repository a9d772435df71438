"""``SocketTransport``: the writing half and the facts of an asyncio transport, over a ``Socket``.

The streams of ``_asyncio_streams`` write through it; ``longshore.adapters.protocol`` adds the reading half, which
drives a protocol. ``write()`` is not a coroutine, so nothing can stop a writer who does not ask: the queue grows, and
``drained()`` or ``Protocol.pause_writing`` is where he waits (rule K12).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longshore.errors import SocketError
from longshore.sockets._held import HeldSocket

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from longshore.sockets._socket import Socket
    from longshore.sockets._write_side import WriteSide

__all__ = ["SocketTransport"]

DEFAULT_HIGH_WATER_BYTES = 64 * 1024  # as in asyncio


class SocketTransport(asyncio.Transport):
    """Writes to ``socket``, connected or not yet; locks both its streams.

    Raises:
        UsageError: a stream of the socket is locked or in use.
    """

    def __init__(self, socket: Socket) -> None:
        super().__init__()
        self._was_closed = False
        self._was_aborted = False
        self._eof_was_written = False
        self._high_bytes, self._low_bytes = _limits(None, None)
        self._hold(HeldSocket(socket))

    def _hold(self, held: HeldSocket) -> None:
        self.held = held
        self._writing: WriteSide = held.socket._channel.writing
        self._apply_limits()

    @property
    def socket(self) -> Socket:
        """The socket underneath; another one after an upgrade to TLS."""
        return self.held.socket

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio calls ``name``; ``default`` before the connection is up."""
        return self.held.extra.get(name, default)

    # -- writing ---------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send or queue ``data``; after the end of the connection it is dropped, as asyncio's transports do.

        Raises:
            TypeError: ``data`` is not bytes-like.
            RuntimeError: ``write_eof()`` was called.
        """
        chunk = _checked(data)
        if self._eof_was_written:
            raise RuntimeError("cannot write after write_eof()")
        if chunk and not self._writing.is_refusing:
            self._writing.queue.append(chunk)
            self._writing.flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send or queue the chunks, joined."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: a half-close works, also under TLS (rule K10)."""
        return True

    def write_eof(self) -> None:
        """Flush, then send FIN (close_notify under TLS); reading goes on."""
        if not self._eof_was_written and not self.is_closing():
            self._eof_was_written = True
            self.socket._channel.end_write()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._writing.queue.size_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high mark."""
        return self._low_bytes, self._high_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say above how many bytes a writer has to wait, and down to how many.

        Raises:
            ValueError: not ``high >= low >= 0``.
        """
        self._high_bytes, self._low_bytes = _limits(high, low)
        self._apply_limits()

    def _apply_limits(self) -> None:
        # The streams are locked, so that nobody else waits for this mark: room is there when the low one is reached.
        self._writing._high_water_mark = self._low_bytes + 1

    async def drained(self) -> None:
        """Wait while more than the high mark waits, until it is at the low one.

        Raises:
            SocketError: what ended the connection or the write side.

        Cancellation: safe.
        """
        is_ended = self._writing.is_refusing and not self._eof_was_written
        if is_ended or self.get_write_buffer_size() > self._high_bytes:
            await self._until_low()

    async def _until_low(self) -> None:
        try:
            await self.held.writer.ready
        except SocketError:
            if not self._eof_was_written:
                raise
            await self.held.writer.closed  # after write_eof() nobody is let in any more, but flushing goes on

    async def start_tls(self, context: ssl.SSLContext, server_name: str | None, timeout_s: float | None) -> None:
        """Upgrade to TLS in place; see ``HeldSocket.start_tls`` for the arguments.

        Raises:
            UsageError: it cannot be upgraded now; nothing has changed.
            TlsError, ResetError, ConnectTimeout: the handshake failed; the connection is over.

        Cancellation: resets the connection.
        """
        self._hold(self.held.start_tls(context, server_name=server_name, timeout_s=timeout_s))
        await self._until_open()

    async def _until_open(self) -> None:
        try:
            await self.socket.opened
        except asyncio.CancelledError:
            self.socket.abort("its handshake was cancelled")
            raise

    # -- ending ----------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Return True when it was closed or the connection is over."""
        channel = self.socket._channel
        return self._was_closed or channel.is_closing or channel.lifecycle.is_finished

    def close(self) -> None:
        """Flush, bounded in time as ``Socket.close`` does it, then close."""
        self._was_closed = True
        self.socket.close()

    def abort(self) -> None:
        """Reset the connection now and drop what was not sent."""
        self._was_closed = self._was_aborted = True
        self.socket.abort("the transport was aborted")

    async def wait_closed(self) -> None:
        """Wait until the connection is over.

        Raises:
            SocketError: what ended it, unless that was ``abort()``.

        Cancellation: safe.
        """
        try:
            await self.socket.closed
        except SocketError:
            if not self._was_aborted:
                raise

    # -- reading: nothing is read that nobody asked for, so there is nothing to pause ----------------

    def is_reading(self) -> bool:
        """Return True while reading is possible."""
        return not self.is_closing()

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self.socket!r}>"


def _limits(high: int | None, low: int | None) -> tuple[int, int]:
    if high is None:
        high = DEFAULT_HIGH_WATER_BYTES if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"write buffer limits high={high!r} and low={low!r} must be high >= low >= 0")
    return high, low


def _checked(data: object) -> bytes | bytearray | memoryview[Any]:
    if isinstance(data, memoryview):
        return data.cast("B")
    if isinstance(data, (bytes, bytearray)):
        return data
    raise TypeError(f"cannot write a {type(data).__name__}: give bytes, bytearray or memoryview")
