"""``Socket.as_anyio_stream()``: an ``anyio.abc.ByteStream``. Needs the extra ``anyio``; nobody imports this before.

anyio's rules, which it adds to the socket's: every call passes a checkpoint; a stream is used by one task at
a time in each direction; ``aclose()`` closes also when it is cancelled.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from longshore.errors import ClosedError, SocketError
from longshore.sockets._held import HeldSocket

try:
    import anyio
    from anyio.abc import ByteStream, SocketAttribute
    from anyio.lowlevel import checkpoint
    from anyio.streams.tls import TLSAttribute
except ImportError as exc:
    raise ImportError("Socket.as_anyio_stream() needs anyio: pip install longshore[anyio]") from exc

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from longshore.sockets._extra_info import ExtraInfo
    from longshore.sockets._socket import Socket

__all__ = ["AnyioStream"]


class AnyioStream(ByteStream):
    """A socket as anyio wants it; errors are anyio's, with ours as their cause.

    Args:
        socket: connected or not yet; both its streams are locked.

    Raises:
        UsageError: a stream of the socket is locked or in use.
    """

    def __init__(self, socket: Socket) -> None:
        self._held = HeldSocket(socket)
        self._receiving = anyio.ResourceGuard("receiving from")
        self._sending = anyio.ResourceGuard("sending to")
        self._was_closed = False
        self._eof_was_sent = False
        self._told: SocketError | None = None

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what is there, at least one byte.

        Raises:
            anyio.EndOfStream: the peer has ended its side.
            anyio.ClosedResourceError: ``aclose()`` was called.
            anyio.BrokenResourceError: the connection failed; the cause says how.
            anyio.BusyResourceError: another task is receiving.

        Cancellation: safe; no byte is lost.
        """
        with self._receiving:
            await checkpoint()
            try:
                data = await self._held.reader.read(max_bytes)
            except SocketError as exc:
                raise self._mapped(exc, ours=self._was_closed) from exc
            if not data:
                raise anyio.EndOfStream
            return data

    async def send(self, item: bytes) -> None:
        """Send ``item``; wait while the peer does not take it.

        Raises:
            anyio.ClosedResourceError: ``aclose()`` or ``send_eof()`` was called.
            anyio.BrokenResourceError: the connection failed, or the peer has ended it.
            anyio.BusyResourceError: another task is sending.

        Cancellation: safe; ``item`` was taken whole or not at all.
        """
        with self._sending:
            await checkpoint()
            try:
                await self._held.writer.write(item)
            except SocketError as exc:
                raise self._mapped(exc, ours=self._was_closed or self._eof_was_sent) from exc

    async def send_eof(self) -> None:
        """Flush, then send FIN (close_notify under TLS); receiving goes on.

        Raises:
            anyio.ClosedResourceError: ``aclose()`` was called.
            anyio.BrokenResourceError: the bytes could not all be sent.
            anyio.BusyResourceError: another task is sending.

        Cancellation: safe; flushing goes on.
        """
        with self._sending:
            await checkpoint()
            if self._was_closed:
                raise anyio.ClosedResourceError("send_eof() after aclose()")
            self._eof_was_sent = True
            try:
                await self._held.writer.close()
            except SocketError as exc:
                raise self._mapped(exc, ours=self._was_closed) from exc

    async def aclose(self) -> None:
        """Flush, bounded in time as ``Socket.close`` does it, and close; calling it again does nothing.

        Raises:
            anyio.BrokenResourceError: the connection had failed, or the bytes could not all be sent, and no call
                has told so before.

        Cancellation: resets the connection.
        """
        if self._was_closed:
            await checkpoint()
            return
        self._was_closed = True
        closed = self._held.socket.close()
        try:
            await checkpoint()
            await closed
        except SocketError as exc:
            if exc is not self._told and not _is_wanted(exc):
                raise self._mapped(exc, ours=False) from exc
        finally:
            if not closed.done():
                self._held.socket.abort("aclose() was cancelled")

    def _mapped(self, error: SocketError, *, ours: bool) -> Exception:
        self._told = error
        if ours and isinstance(error, ClosedError):
            return anyio.ClosedResourceError(str(error))
        return anyio.BrokenResourceError(str(error))

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """``SocketAttribute`` and ``TLSAttribute``; empty before the connection is up."""
        extra = self._held.extra
        if extra.info is None:
            return {}
        tls = {} if extra.ssl_object is None else _tls_attributes(extra.ssl_object)
        return {**_socket_attributes(extra), **tls}


def _is_wanted(error: SocketError) -> bool:
    """Return whether this program has aborted the socket, and not just failed to flush it in time."""
    return isinstance(error, ClosedError) and error.during != "close"


def _socket_attributes(extra: ExtraInfo) -> dict[Any, Callable[[], Any]]:
    found: dict[Any, Callable[[], Any]] = {}
    for name, address_key, port_key in (
        ("peername", SocketAttribute.remote_address, SocketAttribute.remote_port),
        ("sockname", SocketAttribute.local_address, SocketAttribute.local_port),
    ):
        sockaddr = extra.get(name)
        if sockaddr is not None:
            found[address_key] = partial(tuple, sockaddr[:2])
            found[port_key] = partial(int, sockaddr[1])
    sock = extra.transport_socket
    if sock is not None:
        found[SocketAttribute.raw_socket] = lambda: sock
        found[SocketAttribute.family] = lambda: sock.family
    return found


def _tls_attributes(ssl_object: ssl.SSLObject) -> dict[Any, Callable[[], Any]]:
    return {
        TLSAttribute.alpn_protocol: ssl_object.selected_alpn_protocol,
        TLSAttribute.channel_binding_tls_unique: ssl_object.get_channel_binding,
        TLSAttribute.cipher: ssl_object.cipher,
        TLSAttribute.peer_certificate: lambda: ssl_object.getpeercert(binary_form=False),
        TLSAttribute.peer_certificate_binary: lambda: ssl_object.getpeercert(binary_form=True),
        TLSAttribute.server_side: lambda: False,
        TLSAttribute.shared_ciphers: lambda: None,
        TLSAttribute.standard_compatible: lambda: True,
        TLSAttribute.ssl_object: lambda: ssl_object,
        TLSAttribute.tls_version: ssl_object.version,
    }
