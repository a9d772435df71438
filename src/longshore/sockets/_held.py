"""``HeldSocket``: what every adapter stands on, a socket whose two streams nobody else may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.core.tls_options import TlsOptions
from longshore.errors import UsageError
from longshore.sockets._extra_info import ExtraInfo

if TYPE_CHECKING:
    import ssl

    from longshore.sockets._readable import ReadableStreamReader
    from longshore.sockets._socket import Socket
    from longshore.sockets._writable import WritableStreamWriter

__all__ = ["HeldSocket"]


class HeldSocket:
    """Locks both streams of ``socket`` for as long as it lives.

    Raises:
        UsageError: a stream is locked or in use, or the socket was upgraded; it is unharmed.
    """

    __slots__ = ("extra", "reader", "socket", "writer")

    def __init__(self, socket: Socket) -> None:
        if socket.upgraded:
            raise UsageError("cannot adapt a socket that start_tls() has upgraded: use the one that it returned")
        self.socket = socket
        self.extra = ExtraInfo(socket._channel)
        self.reader: ReadableStreamReader = socket.readable.get_reader()
        try:
            self.writer: WritableStreamWriter = socket.writable.get_writer()
        except UsageError:
            self.reader.release_lock()
            raise

    def start_tls(
        self, context: ssl.SSLContext, *, server_name: str | None = None, timeout_s: float | None = None
    ) -> HeldSocket:
        """Upgrade the socket and hold the one that comes of it; inside TLS, start TLS once more.

        Args:
            context: used as it is.
            server_name: to verify and to send; None for what the socket was connected with.
            timeout_s: bound on the handshake; None for the socket's ``connect_timeout_s``.

        Raises:
            UsageError: the socket cannot be upgraded now (see ``Socket.start_tls``); nothing has changed.
        """
        try:
            self.reader.release_lock()
            self.writer.release_lock()
            upgraded = self.socket._start_tls_anywhere(
                sni=server_name, tls=TlsOptions(context=context), timeout_s=timeout_s
            )
        except UsageError:
            self._lock_again()
            raise
        return HeldSocket(upgraded)

    def _lock_again(self) -> None:
        if not self.socket.readable.locked:
            self.reader = self.socket.readable.get_reader()
        if not self.socket.writable.locked:
            self.writer = self.socket.writable.get_writer()
