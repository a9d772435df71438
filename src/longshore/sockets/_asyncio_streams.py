"""``Socket.as_asyncio_streams()``: a real ``asyncio.StreamReader`` and ``StreamWriter`` that obey rules K5 and K12.

They are subclasses, so that ``isinstance`` and the type hints of existing programs hold. What differs from asyncio's:

* The reader pulls. Its base class is filled by a protocol as fast as the peer sends, up to twice the limit; here
  bytes leave the kernel when a read asks for them. ``_wait_for_data`` is the one method through which all
  reads of ``asyncio.StreamReader`` get more (CPython ``Lib/asyncio/streams.py``, unchanged since 3.5).
* An error is raised by the read that meets it, after what arrived before it; it is never an end-of-file.
* ``write_eof`` works under TLS, and ``start_tls`` loses nothing on any loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.errors import ArgumentValueError, UsageError
from longshore.sockets._transport import SocketTransport

if TYPE_CHECKING:
    import ssl

    from longshore.sockets._socket import Socket

__all__ = ["SocketStreamReader", "SocketStreamWriter", "asyncio_streams"]

READ_BYTES = 64 * 1024


def asyncio_streams(socket: Socket, limit_bytes: int) -> tuple[SocketStreamReader, SocketStreamWriter]:
    """Return the pair; see ``Socket.as_asyncio_streams``."""
    if limit_bytes < 1:
        raise ArgumentValueError(f"limit_bytes={limit_bytes!r} must be at least 1")
    transport = SocketTransport(socket)
    reader = SocketStreamReader(transport, limit_bytes)
    return reader, SocketStreamWriter(transport, reader)


class SocketStreamReader(asyncio.StreamReader):
    """Reads a socket with asyncio's methods.

    Args:
        transport: holds the socket.
        limit_bytes: the longest line, as in asyncio.
    """

    # Of the base class, which has had them since Python 3.4.
    _buffer: bytearray
    _eof: bool
    _exception: Exception | None

    def __init__(self, transport: SocketTransport, limit_bytes: int) -> None:
        super().__init__(limit_bytes, asyncio.get_running_loop())
        self._socket_transport = transport

    @property
    def buffered_bytes(self) -> int:
        """How much was read from the socket and not asked for yet."""
        return len(self._buffer)

    def exception(self) -> Exception | None:
        """Return what ended the reading, None while nothing did."""
        return super().exception() or self._socket_transport.socket._channel.reading.error

    def at_eof(self) -> bool:
        """Return True when everything up to the peer's end-of-file has been read."""
        return not self._buffer and (self._eof or self._socket_transport.socket._channel.reading.ended)

    async def read(self, n: int = -1) -> bytes:
        """Read up to ``n`` bytes, or to the end-of-file when ``n`` is negative.

        Raises:
            SocketError: what ended the connection.
            UsageError: another task reads.

        Cancellation: safe for ``n > 0``; otherwise what was read so far is lost, as in asyncio.
        """
        if n <= 0 or self._buffer or self._eof or self._exception is not None:
            return await super().read(n)
        data = await self._socket_transport.held.reader.read(n)
        self._eof = not data
        return data

    async def _wait_for_data(self, func_name: str) -> None:
        data = await self._socket_transport.held.reader.read(READ_BYTES)
        if data:
            self._buffer.extend(data)
        else:
            self._eof = True

    def __repr__(self) -> str:
        return f"<SocketStreamReader of {self._socket_transport.socket!r}, {len(self._buffer)} bytes buffered>"


class SocketStreamWriter(asyncio.StreamWriter):
    """Writes a socket with asyncio's methods; all but those below are asyncio's own.

    Args:
        transport: holds the socket.
        reader: of the same socket.
    """

    def __init__(self, transport: SocketTransport, reader: SocketStreamReader) -> None:
        super().__init__(transport, asyncio.Protocol(), reader, asyncio.get_running_loop())
        self._socket_transport = transport
        self._socket_reader = reader

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written.

        Raises:
            SocketError: what ended the connection or the write side.

        Cancellation: safe.
        """
        await self._socket_transport.drained()

    async def wait_closed(self) -> None:
        """Wait until the connection is over.

        Raises:
            SocketError: what ended it, unless that was ``transport.abort()``.

        Cancellation: safe.
        """
        await self._socket_transport.wait_closed()

    async def start_tls(
        self,
        sslcontext: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Upgrade to TLS in place (rule K9); inside TLS, start TLS once more.

        Args:
            sslcontext: used as it is.
            server_hostname: to verify and to send; None for the host that was connected.
            ssl_handshake_timeout: bound in seconds; None for the socket's ``connect_timeout_s``.
            ssl_shutdown_timeout: accepted for asyncio's sake; closing is bounded as ``Socket.close`` is.

        Raises:
            UsageError: the socket's mode is ``"off"``, a read or ``drain()`` is pending, or bytes that the peer sent
                before the handshake are unread; nothing has changed then.
            TlsError, ResetError, ConnectTimeout: the handshake failed; the connection is over.

        Cancellation: resets the connection.
        """
        unread_bytes = self._socket_reader.buffered_bytes
        if unread_bytes:
            raise UsageError(
                f"cannot start TLS with {unread_bytes} bytes unread, which an attacker may have injected: "
                "read everything the peer sends before the handshake"
            )
        await self._socket_transport.start_tls(sslcontext, server_hostname, ssl_handshake_timeout)

    def __del__(self) -> None:
        """Leave the connection to whoever holds the reader; when both are gone, the socket notices."""
