"""``DirectDialer``: connects from this process, with policy, Happy Eyeballs and TLS."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from functools import partial
from time import monotonic  # loop.time() of uvloop has milliseconds only
from typing import TYPE_CHECKING, Any

from longshore.abc import Connection
from longshore.core.info import SocketInfo, Timings
from longshore.errors import TlsError, UsageError
from longshore.net.busy_poll import DEFAULT_BUSY_POLL_S
from longshore.net.opening import HAPPY_EYEBALLS_DELAY_S, AddressPolicy, Opening, Progress, limited_time
from longshore.net.resolve import SystemResolver
from longshore.net.streams import FdStream
from longshore.net.tls import TlsStream
from longshore.net.tls_context import client_context

if TYPE_CHECKING:
    from longshore.abc import ByteStream, DialRequest, Resolver
    from longshore.core.tls_options import TlsRequest
    from longshore.net.opening import Opened

__all__ = ["AddressPolicy", "DirectDialer", "handshake", "refuse_plaintext"]


class DirectDialer:
    """Opens connections from this process.

    Args:
        resolver: turns names into addresses; the system's by default.
        policy: judges the name and every address it resolves to, once, right before that address is
            connected: there is no second look-up between check and use (rule K4). None allows everything.
        happy_eyeballs_delay_s: *Connection Attempt Delay* of RFC 8305 §5.
        busy_poll_s: how long to poll for an answer before the event loop sleeps; 0 for never. Adaptive, see
            ``longshore.net.busy_poll``.
    """

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        policy: AddressPolicy | None = None,
        happy_eyeballs_delay_s: float = HAPPY_EYEBALLS_DELAY_S,
        busy_poll_s: float = DEFAULT_BUSY_POLL_S,
    ) -> None:
        self._resolver = resolver or SystemResolver()
        self._policy = policy
        self._delay_s = happy_eyeballs_delay_s
        self._busy_poll_s = busy_poll_s

    async def dial(self, request: DialRequest) -> Connection:
        """Connect, and make the TLS handshake when the request asks for one.

        Raises:
            ResolveError: the name has no address.
            PolicyDenied: no address of it may be connected.
            ConnectError: no address accepted (``.attempts`` names each with its cause).
            ConnectTimeout: ``request.timeout_s`` ran out.
            TlsError, ResetError: the handshake failed.
            UsageError: the event loop cannot poll descriptors.

        Cancellation: safe; every descriptor opened so far is closed.
        """
        _check_loop()
        opening = Opening(request, self._resolver, self._policy, self._delay_s)
        opened = opening.begin()
        if opened is not None and request.tls is None:
            return self._adopt(opened, request)  # the common case of a near peer needs no timer
        async with limited_time(str(request.address), request.timeout_s, opening.progress):
            if opened is None:
                opened = await opening.finish()
            connection = self._adopt(opened, request)
            if request.tls is None:
                return connection
            opening.progress.during = "tls"
            return await handshake(connection, request.tls, str(request.address))

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make a client handshake on an open plain connection (see ``Dialer.start_tls``).

        Raises:
            TlsError: the handshake failed, or plaintext arrived before it (the injection of CVE-2021-23222).
            ResetError: the connection broke.
            ConnectTimeout: ``tls.timeout_s`` ran out.

        Cancellation: closes the connection.
        """
        address = connection.info.remote_address
        try:
            async with limited_time(address, tls.timeout_s, Progress("tls")):
                refuse_plaintext(connection.stream, address)
                return await handshake(connection, tls, address)
        except BaseException:
            connection.stream.abort()
            raise

    def _adopt(self, opened: Opened, request: DialRequest) -> Connection:
        """Return the connection over a connected socket."""
        sock = opened.sock
        try:
            sockname = sock.getsockname()
            stream = FdStream(
                sock,
                asyncio.get_running_loop(),
                opened.remote_address,
                busy_poll_s=self._busy_poll_s,
                is_near=opened.is_near and request.tls is None,
            )
        except BaseException:
            sock.close()
            raise
        return Connection(stream, partial(_plain_info, opened.remote_address, sockname, opened.dns_s, opened.tcp_s))


def _check_loop() -> None:
    if sys.platform == "win32" and not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
        raise UsageError("this event loop cannot poll descriptors: run the program on asyncio.SelectorEventLoop")


def _plain_info(remote_address: str, sockname: tuple[Any, ...], dns_s: float | None, tcp_s: float) -> SocketInfo:
    host, port = sockname[:2]
    local_address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return SocketInfo(remote_address, local_address, timings=Timings(dns_s, tcp_s))


async def handshake(connection: Connection, tls: TlsRequest, address: str) -> Connection:
    """Make a client handshake and return the connection above it; without a bound on its time.

    Raises:
        TlsError, ResetError: it failed; the stream is aborted.

    Cancellation: aborts the stream.
    """
    started = monotonic()
    try:
        context = client_context(tls.options, tls.alpn)
        stream = TlsStream(connection.stream, context, tls.server_name, address)
        await stream.handshake()
    except BaseException:
        # Aborted rather than closed: the peer must not take a failed handshake for an orderly end.
        connection.stream.abort()
        raise
    return Connection(stream, _tls_info(connection.info, stream, monotonic() - started))


def _tls_info(info: SocketInfo, stream: TlsStream, tls_s: float) -> SocketInfo:
    ssl_object = stream.ssl_object
    cipher = ssl_object.cipher()
    return replace(
        info,
        alpn=ssl_object.selected_alpn_protocol(),
        tls_version=ssl_object.version(),
        cipher=cipher[0] if cipher else None,
        peer_certificate=ssl_object.getpeercert(binary_form=True),
        timings=replace(info.timings, tls_s=tls_s),
    )


def refuse_plaintext(stream: ByteStream, address: str) -> None:
    """Fail when bytes are there before our ClientHello is: nobody may speak between the two protocols."""
    found = stream.peek()
    if found is None:
        return
    what = (
        "plaintext arrived before the handshake, which an attacker may have injected; "
        "read everything the peer sends before start_tls()"
        if found
        else "the peer closed the connection before it"
    )
    raise TlsError(f"TLS handshake with {address} refused: {what}", address=address, truncated=not found)
