"""asyncio's loop with hot sockets: every stream socket of it is a ``HotTransport`` (shell)."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from longshore.net.busy_poll import usable_processors
from longshore.pool.hot.transport import HotTransport

if sys.platform == "linux":
    from longshore.pool.hot.listener import HotListener
    from longshore.pool.hot.selector import HotSelector

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HotEventLoop", "new_event_loop"]

_YIELD_S: Final = 50e-6
"""Longer than a database on the same host needs for a simple answer, shorter than two sleeps and wake-ups."""
_READ: Final = 1  # EPOLLIN
_PAUSE_S: Final = 1.0
_TCP_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_KNOWS_TRANSPORTS: Final = sys.version_info >= (3, 13)
"""asyncio's servers count their connections before, and know them since."""


class HotEventLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, on Linux.

    Args:
        yield_s: how long to let other processes run instead of sleeping, see ``HotSelector``.
    """

    def __init__(self, yield_s: float | None = None) -> None:
        if yield_s is None:
            yield_s = _YIELD_S if usable_processors() > 1 else 0.0
        self._hot = HotSelector(yield_s)
        super().__init__(self._hot)  # type: ignore[arg-type]  # by its interface

    # What follows makes ``HotSelector.select`` come back.

    def call_soon(self, callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        """See asyncio."""
        self._hot.is_wanted = True
        return super().call_soon(callback, *args, **options)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        """See asyncio."""
        self._hot.is_wanted = True
        return super().call_at(when, callback, *args, **options)

    def stop(self) -> None:
        """See asyncio."""
        self._hot.is_wanted = True
        super().stop()

    # asyncio makes its transports with these.

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> HotTransport:
        if sock.family in _TCP_FAMILIES:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = self._make_hot(sock, protocol, _peername(sock), server)
        self.call_soon(transport.start, waiter)
        return transport

    def _make_hot(self, sock: socket.socket, protocol: Any, peername: Any, server: Any) -> HotTransport:
        if server is None:
            return HotTransport(self, self._hot, sock, protocol, peername)
        if not _KNOWS_TRANSPORTS:
            server._attach()
            return HotTransport(self, self._hot, sock, protocol, peername, server._detach)
        entry = _Entry(server)
        server._attach(entry)
        entry.transport = HotTransport(self, self._hot, sock, protocol, peername, entry.detach)
        return entry.transport

    def _start_serving(
        self,
        protocol_factory: Callable[[], Any],
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        """Accept without a turn of this loop, nor a task, for each connection."""
        if sslcontext is not None:
            super()._start_serving(protocol_factory, sock, sslcontext, server, *rest, **options)  # type: ignore[misc]
            return
        if sock.family in _TCP_FAMILIES:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted inherits it

        def begin(accepted: socket.socket, peername: Any) -> None:
            self.begin(accepted, protocol_factory, peername, server)

        self._hot.add(sock.fileno(), _READ, HotListener(sock, begin, self._pause_accepting))

    def _stop_serving(self, sock: socket.socket) -> None:
        self._hot.remove(sock.fileno())
        super()._stop_serving(sock)  # type: ignore[misc]

    def _pause_accepting(self, listener: HotListener, error: OSError) -> None:
        """Leave a listener alone for a moment: no descriptor is left, or no memory."""
        message = "the system is out of resources: no connection can be accepted"
        self.call_exception_handler({"message": message, "exception": error})
        self._hot.remove(listener.sock.fileno())
        self.call_later(_PAUSE_S, self._go_on_accepting, listener)

    def _go_on_accepting(self, listener: HotListener) -> None:
        if listener.sock.fileno() >= 0:
            self._hot.add(listener.sock.fileno(), _READ, listener)

    def adopt(self, sock: socket.socket, make: Callable[[], Any]) -> None:
        """Serve a connected socket without a task.

        Args:
            sock: non-blocking; closed with its transport.
            make: returns its protocol.
        """
        if sock.family in _TCP_FAMILIES:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begin(sock, make, _peername(sock))

    def begin(self, accepted: socket.socket, make: Callable[[], Any], peername: Any, server: Any = None) -> None:
        """Serve a socket that was accepted.

        Args:
            accepted: non-blocking; closed with its transport. Where it is TCP's, it has no delay already.
            make: returns its protocol.
            peername: of the socket.
            server: of asyncio.
        """
        try:
            self._make_hot(accepted, make(), peername, server).start()
        except Exception as exc:  # noqa: BLE001 - whatever a protocol raises is reported
            accepted.close()
            message = "Error on transport creation for incoming connection"
            self.call_exception_handler({"message": message, "exception": exc})


def _peername(sock: socket.socket) -> Any:
    """Return it while it can be asked for: not any more when the peer has gone."""
    try:
        return sock.getpeername()
    except OSError:
        return None


class _Entry:
    """What a server of asyncio knows of a transport: it refers to it weakly, which a compiled class does not allow."""

    transport: HotTransport

    def __init__(self, server: Any) -> None:
        self._server = server

    def detach(self) -> None:
        """Leave the server."""
        self._server._detach(self)

    def close(self) -> None:
        """End the connection."""
        self.transport.close()

    def abort(self) -> None:
        """End it now."""
        self.transport.abort()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return the fastest loop that there is: this one where the system has epoll."""
    return HotEventLoop() if sys.platform == "linux" else asyncio.new_event_loop()
