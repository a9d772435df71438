"""``DirectDialer``: connects from this process, with policy, Happy Eyeballs and TLS."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic  # loop.time() of uvloop has milliseconds only
from typing import TYPE_CHECKING, Any, Protocol

from longshore.abc import Connection
from longshore.core.happy_eyeballs import interleave
from longshore.core.info import SocketInfo, Timings
from longshore.errors import (
    ConnectAttempt,
    ConnectError,
    ConnectTimeout,
    PolicyDenied,
    ResolveError,
    TlsError,
    UsageError,
)
from longshore.net.busy_poll import DEFAULT_BUSY_POLL_S
from longshore.net.connect import connect_at_once, finish_connect, format_address, race
from longshore.net.resolve import SystemResolver
from longshore.net.streams import FdStream
from longshore.net.tls import TlsStream
from longshore.net.tls_context import client_context

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv6Address

    from longshore.abc import ByteStream, DialRequest, Resolver
    from longshore.core.addresses import SocketAddress
    from longshore.core.tls_options import TlsRequest

__all__ = ["AddressPolicy", "DirectDialer"]


class AddressPolicy(Protocol):
    """Decides where connections may go; ``longshore.policy.EgressPolicy`` is one."""

    def check_name(self, address: SocketAddress) -> None:
        """Judge the destination as it was written.

        Raises:
            PolicyDenied: whatever it resolves to, it is forbidden.
        """

    def check_address(self, ip: IPv4Address | IPv6Address, port: int, *, hostname: str) -> None:
        """Judge one resolved address.

        Raises:
            PolicyDenied: it must not be connected.
        """


@dataclass(slots=True)
class _Progress:
    """How far a dial has come; read when its time is over."""

    during: str = "resolve"
    attempts: list[ConnectAttempt] = field(default_factory=list)


@dataclass(slots=True)
class _Begun:
    """A socket on its way."""

    sock: socket.socket
    remote_address: str
    started: float
    """When connecting began, on the monotonic clock."""
    is_connected: bool = False
    """Connected by the first call: the peer is near."""
    dns_s: float | None = None


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
        happy_eyeballs_delay_s: float = 0.25,
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
        progress = _Progress()
        if self._policy is not None:
            self._policy.check_name(request.address)
        begun = self._begin(request, progress) if request.address.ip is not None else None
        if begun is not None and begun.is_connected and request.tls is None:
            return self._adopt(begun, request)  # the common case of a near peer needs no timer
        timeout = asyncio.timeout(request.timeout_s)
        try:
            async with timeout:
                return await self._dial(request, progress, begun)
        except TimeoutError as exc:
            if not timeout.expired() or request.timeout_s is None:
                raise
            raise _timed_out(str(request.address), request.timeout_s, progress) from exc

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make a client handshake on an open plain connection (see ``Dialer.start_tls``).

        Raises:
            TlsError: the handshake failed, or plaintext arrived before it (the injection of CVE-2021-23222).
            ResetError: the connection broke.
            ConnectTimeout: ``tls.timeout_s`` ran out.

        Cancellation: closes the connection.
        """
        address = connection.info.remote_address
        timeout = asyncio.timeout(tls.timeout_s)
        try:
            async with timeout:
                _refuse_plaintext(connection.stream, address)
                return await _handshake(connection, tls, address)
        except TimeoutError as exc:
            if not timeout.expired() or tls.timeout_s is None:
                raise
            raise _timed_out(address, tls.timeout_s, _Progress("tls")) from exc
        except BaseException:
            connection.stream.abort()
            raise

    async def _dial(self, request: DialRequest, progress: _Progress, begun: _Begun | None) -> Connection:
        if begun is None:
            begun = await self._resolve_and_race(request, progress)
        elif not begun.is_connected:
            await self._finish(begun, request, progress)
        connection = self._adopt(begun, request)
        if request.tls is None:
            return connection
        progress.during = "tls"
        return await _handshake(connection, request.tls, str(request.address))

    def _begin(self, request: DialRequest, progress: _Progress) -> _Begun:
        """Start to connect to an IP literal."""
        address = request.address
        assert address.ip is not None
        progress.during = "connect"
        if self._policy is not None:
            self._policy.check_address(address.ip, address.port, hostname=address.hostname)
        started = monotonic()
        try:
            sock, is_connected = connect_at_once(address.ip, request)
        except OSError as exc:
            raise _refused(request, progress, exc, started) from exc
        return _Begun(sock, str(address), started, is_connected)

    async def _finish(self, begun: _Begun, request: DialRequest, progress: _Progress) -> None:
        try:
            await finish_connect(begun.sock)
        except OSError as exc:
            raise _refused(request, progress, exc, begun.started) from exc

    async def _resolve_and_race(self, request: DialRequest, progress: _Progress) -> _Begun:
        address = request.address
        started = monotonic()
        ips = await self._candidates(address)
        resolved = monotonic()
        progress.during = "connect"
        won = await race(ips, request, self._delay_s, progress.attempts)
        if won is None:
            raise _nobody_accepted(str(address), tuple(progress.attempts))
        sock, ip = won
        return _Begun(sock, format_address(ip, address.port), resolved, dns_s=resolved - started)

    def _adopt(self, begun: _Begun, request: DialRequest) -> Connection:
        """Return the connection over a connected socket."""
        sock = begun.sock
        tcp_s = monotonic() - begun.started
        try:
            sockname = sock.getsockname()
            stream = FdStream(
                sock,
                asyncio.get_running_loop(),
                begun.remote_address,
                busy_poll_s=self._busy_poll_s,
                is_near=begun.is_connected and request.tls is None,
            )
        except BaseException:
            sock.close()
            raise
        return Connection(stream, partial(_plain_info, begun.remote_address, sockname, begun.dns_s, tcp_s))

    async def _candidates(self, address: SocketAddress) -> Sequence[IPv4Address | IPv6Address]:
        """Resolve and drop what policy forbids; the denial is raised when nothing is left."""
        ips = interleave(await self._resolver.resolve(address.hostname, address.port))
        if not ips:
            raise ResolveError(
                f"cannot resolve {address.hostname!r}: its resolver found no address",
                address=str(address),
                during="resolve",
            )
        if self._policy is None:
            return ips
        allowed: list[IPv4Address | IPv6Address] = []
        denial: PolicyDenied | None = None
        for ip in ips:
            try:
                self._policy.check_address(ip, address.port, hostname=address.hostname)
            except PolicyDenied as exc:
                denial = denial or exc
            else:
                allowed.append(ip)
        if denial is not None and not allowed:
            raise denial
        return allowed


def _check_loop() -> None:
    if sys.platform == "win32" and not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
        raise UsageError("this event loop cannot poll descriptors: run the program on asyncio.SelectorEventLoop")


def _plain_info(remote_address: str, sockname: tuple[Any, ...], dns_s: float | None, tcp_s: float) -> SocketInfo:
    host, port = sockname[:2]
    local_address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return SocketInfo(remote_address, local_address, timings=Timings(dns_s, tcp_s))


def _refused(request: DialRequest, progress: _Progress, exc: OSError, started: float) -> ConnectError:
    address = str(request.address)
    progress.attempts.append(ConnectAttempt(address, exc, monotonic() - started))
    return _nobody_accepted(address, tuple(progress.attempts))


async def _handshake(connection: Connection, tls: TlsRequest, address: str) -> Connection:
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


def _refuse_plaintext(stream: ByteStream, address: str) -> None:
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


def _nobody_accepted(address: str, attempts: tuple[ConnectAttempt, ...]) -> ConnectError:
    tried = "; ".join(str(attempt) for attempt in attempts)
    error = ConnectError(f"cannot connect to {address}: {tried}", address=address, attempts=attempts)
    error.__cause__ = attempts[-1].error
    return error


def _timed_out(address: str, timeout_s: float, progress: _Progress) -> ConnectTimeout:
    phase = {"resolve": "resolving the name", "connect": "connecting", "tls": "the TLS handshake"}
    tried = "".join(f"; {attempt}" for attempt in progress.attempts)
    return ConnectTimeout(
        f"no connection to {address} within {timeout_s} s: time ran out during {phase[progress.during]}{tried}",
        address=address,
        during=progress.during,
        attempts=tuple(progress.attempts),
        timeout_s=timeout_s,
    )
