"""What is known about a connection, under the names that asyncio gives it (``BaseTransport.get_extra_info``).

Used by every adapter. A stream of ``longshore.abc`` may offer two things beyond its Protocol, which are
passed on when they are there: ``ssl_object``, and ``transport_socket`` (an ``asyncio.TransportSocket``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.errors import SocketError

if TYPE_CHECKING:
    import ssl
    from asyncio.trsock import TransportSocket

    from longshore.abc import ByteStream
    from longshore.core.info import SocketInfo
    from longshore.sockets._channel import Channel

__all__ = ["ExtraInfo", "sockaddr"]


class ExtraInfo:
    """Answers as soon as the connection is up, and goes on answering when it has ended, as asyncio does.

    It holds the channel, not the socket: it keeps nothing connected that nobody else refers to.
    """

    __slots__ = ("_channel", "_stream")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stream: ByteStream | None = channel.stream
        if self._stream is None:
            channel.opened.add_done_callback(self._on_opened)

    def _on_opened(self, _: object) -> None:
        self._last_stream()

    def _last_stream(self) -> ByteStream | None:
        self._stream = self._channel.stream or self._stream
        return self._stream

    @property
    def info(self) -> SocketInfo | None:
        """The value of ``Socket.opened``, None while there is none."""
        opened = self._channel.opened
        return opened.result() if opened.done() and opened.exception() is None else None

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """TLS as OpenSSL sees it, None on a plain connection."""
        found: ssl.SSLObject | None = getattr(self._last_stream(), "ssl_object", None)
        return found

    @property
    def transport_socket(self) -> TransportSocket | None:
        """The socket underneath for reading and setting options, None when closed or without one."""
        found: TransportSocket | None = getattr(self._last_stream(), "transport_socket", None)
        return found

    @property
    def is_readable(self) -> bool:
        """True when a read would return at once: with bytes, end-of-file, or an error."""
        reading = self._channel.reading
        if reading.stream is None:
            return reading.ended or reading.error is not None
        try:
            return reading.stream.peek() is not None
        except SocketError:
            return True

    def get(self, name: str, default: Any = None) -> Any:
        """Return what asyncio calls ``name``, or ``default`` when there is no such thing (yet)."""
        found = self._of_connection(name)
        if found is None:
            found = self._of_tls(name)
        return default if found is None else found

    def _of_connection(self, name: str) -> object:
        info = self.info
        match name:
            case "peername":
                return None if info is None else sockaddr(info.remote_address)
            case "sockname":
                return None if info is None or info.local_address is None else sockaddr(info.local_address)
            case "socket":
                return self.transport_socket
            case _:
                return None

    def _of_tls(self, name: str) -> object:
        ssl_object = self.ssl_object
        if ssl_object is None:
            return None
        match name:
            case "ssl_object":
                return ssl_object
            case "sslcontext":
                return ssl_object.context
            case "peercert":
                return ssl_object.getpeercert()
            case "cipher":
                return ssl_object.cipher()
            case "compression":
                return ssl_object.compression()
            case _:
                return None


def sockaddr(address: str) -> tuple[str, int] | tuple[str, int, int, int]:
    """Return ``ip:port`` or ``[ipv6]:port`` as the ``socket`` module spells it."""
    host, _, port = address.rpartition(":")
    if not host.startswith("["):
        return host, int(port)
    ip, _, zone = host[1:-1].partition("%")
    return ip, int(port), 0, int(zone) if zone.isdecimal() else 0
