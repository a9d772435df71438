"""httpcore and httpx over ``connect()``: policy, Happy Eyeballs, typed errors. Needs the extra ``httpx``.

``httpx.AsyncClient(transport=httpx_transport())`` is all a program needs. Errors are httpcore's, which httpx shows as
its own; ``socket_error_of()`` finds the ``SocketError`` behind one. Plain connections, TLS, and TLS through an HTTPS
proxy, which is TLS inside TLS, all go through ``Socket``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longshore.adapters._httpcore_stream import SOCKET_ERROR, SocketNetworkStream, failure, time_is_up
from longshore.core.shown import shown
from longshore.errors import SocketError, UsageError
from longshore.sockets._connect import connect
from longshore.sockets._held import HeldSocket

try:
    import httpcore
    import httpx
except ImportError as exc:
    raise ImportError("longshore.adapters.httpcore_backend needs httpx: pip install longshore[httpx]") from exc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.abc import Dialer
    from longshore.sockets._socket import Socket

__all__ = ["LongshoreBackend", "OneSocketBackend", "httpx_transport", "socket_error_of"]


class _TcpBackend(httpcore.AsyncNetworkBackend):
    """What both backends share."""

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> SocketNetworkStream:
        """Refuse: ``connect()`` speaks TCP.

        Raises:
            httpcore.UnsupportedProtocol: always.
        """
        raise _no_unix_socket(path)

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts to connect.

        Cancellation: safe.
        """
        await asyncio.sleep(seconds)


class LongshoreBackend(_TcpBackend):
    """Opens httpcore's connections with ``connect()``.

    Args:
        dialer: who connects, for example ``DirectDialer(policy=EgressPolicy())``; None for the program's default.
    """

    def __init__(self, dialer: Dialer | None = None) -> None:
        self._dialer = dialer

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> SocketNetworkStream:
        """Connect; TLS, if any, follows with ``start_tls()`` of the stream.

        Raises:
            httpcore.ConnectTimeout: not within ``timeout`` seconds.
            httpcore.ConnectError: refused, unreachable, not resolved, denied by policy, or not an address.

        Cancellation: safe; the connection is given up.
        """
        if timeout is not None and timeout <= 0:
            raise time_is_up(httpcore.ConnectTimeout, "connect", timeout)
        try:
            socket = connect(
                (host, port),
                secure_transport="starttls",
                connect_timeout_s=timeout,
                local_address=None if local_address is None else (local_address, 0),
                dialer=self._dialer,
            )
        except UsageError as exc:
            raise failure(exc, httpcore.ConnectError) from exc
        return await _opened(HeldSocket(socket), socket_options)


class OneSocketBackend(_TcpBackend):
    """Gives httpcore one connection, over a socket that is there already.

    Both streams of the socket are locked at once. Closing the socket closes the connection under the client.

    Args:
        socket: connected or not yet, plain or TLS; with TLS on it, request ``http://`` URLs, for the socket has made
            the handshake.

    Raises:
        UsageError: a stream of the socket is locked or in use, or the socket was upgraded.
    """

    def __init__(self, socket: Socket) -> None:
        self._held: HeldSocket | None = HeldSocket(socket)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> SocketNetworkStream:
        """Return the one connection, the first time.

        Raises:
            httpcore.ConnectTimeout: it was not up within ``timeout`` seconds.
            httpcore.ConnectError: it failed, was used up, or bytes came on it that nobody asked for.

        Cancellation: the connection is given up.
        """
        held, self._held = self._held, None
        if held is None:
            raise httpcore.ConnectError(f"cannot connect to {shown(host)}: the one socket of this client is used up")
        try:
            async with asyncio.timeout(timeout):
                stream = await _opened(held, socket_options)
        except TimeoutError as exc:
            raise time_is_up(httpcore.ConnectTimeout, "connect", timeout) from exc
        if held.extra.is_readable:
            held.socket.abort("bytes came before the request")
            raise httpcore.ConnectError(f"the peer at {held.socket.address} has spoken before the request, or hung up")
        return stream


def httpx_transport(
    *, dialer: Dialer | None = None, socket: Socket | None = None, **keywords: Any
) -> httpx.AsyncHTTPTransport:
    """Return a transport for ``httpx.AsyncClient`` whose connections are made by ``connect()``.

    Args:
        dialer: who connects; None for the program's default.
        socket: speak HTTP over this socket instead, and connect nowhere; see ``OneSocketBackend``.
        **keywords: of ``httpx.AsyncHTTPTransport``: ``verify``, ``http2``, ``proxy``, ``retries`` and so on.

    Raises:
        UsageError: a stream of ``socket`` is locked or in use, or it was upgraded.
        TypeError: httpx does not know a keyword.
    """
    backend: httpcore.AsyncNetworkBackend
    if socket is None:
        backend = LongshoreBackend(dialer)
    else:
        # One connection, kept for as long as the client lives, and requests take turns on it.
        keywords.setdefault("limits", httpx.Limits(max_connections=1, keepalive_expiry=None))
        backend = OneSocketBackend(socket)
    transport = httpx.AsyncHTTPTransport(**keywords)
    # httpx has no argument for it. All pools, those of proxies too, take it from this attribute.
    assert isinstance(transport._pool._network_backend, httpcore.AsyncNetworkBackend)
    transport._pool._network_backend = backend
    return transport


def socket_error_of(error: BaseException) -> SocketError | None:
    """Return our error behind one of httpx or httpcore, None when there is none.

    httpcore's pool raises its errors again ``from None``, so the ``__cause__`` that they were raised with is gone.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, SocketError):
        found = getattr(found, SOCKET_ERROR, None) or found.__cause__ or found.__context__
    return found


async def _opened(held: HeldSocket, socket_options: Iterable[httpcore.SOCKET_OPTION] | None) -> SocketNetworkStream:
    try:
        await held.socket.opened
        _set_options(held, socket_options or ())
    except SocketError as exc:
        raise failure(exc, httpcore.ConnectError) from exc
    except BaseException:
        held.socket.abort("connecting was broken off")
        raise
    return SocketNetworkStream(held)


def _set_options(held: HeldSocket, socket_options: Iterable[httpcore.SOCKET_OPTION]) -> None:
    for option in socket_options:
        sock = held.extra.transport_socket
        if sock is None:
            raise httpcore.ConnectError(f"cannot set the socket option {option!r}: the dialer gave no socket")
        try:
            sock.setsockopt(*option)
        except OSError as exc:
            raise httpcore.ConnectError(f"cannot set the socket option {option!r}: {exc}") from exc


def _no_unix_socket(path: str) -> httpcore.UnsupportedProtocol:
    return httpcore.UnsupportedProtocol(
        f"cannot connect to the unix socket {shown(path)}: connect() speaks TCP; use httpx's own transport for it"
    )
