"""``Opening``: one outbound TCP connection on its way, from the name to a connected socket.

Under ``DirectDialer`` as under the egress process, so that both judge, race and fail in the same way and in the same
words.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic  # loop.time() of uvloop has milliseconds only
from typing import TYPE_CHECKING, Final, Protocol

from longshore.core.happy_eyeballs import interleave
from longshore.errors import ConnectAttempt, ConnectError, ConnectTimeout, PolicyDenied, ResolveError
from longshore.net.connect import connect_at_once, finish_connect, format_address, race

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Sequence

    from longshore.abc import DialRequest, Resolver
    from longshore.core.addresses import SocketAddress
    from longshore.core.host_syntax import IpAddress

__all__ = ["AddressPolicy", "Opened", "Opening", "Progress", "limited_time", "nobody_accepted"]

HAPPY_EYEBALLS_DELAY_S = 0.25
"""*Connection Attempt Delay*, RFC 8305 §5."""

_PHASES: Final = {
    "queue": "the wait for its turn (limits of the worker)",
    "resolve": "resolving the name",
    "connect": "connecting",
    "tls": "the TLS handshake",
}


class AddressPolicy(Protocol):
    """Decides where connections may go; ``longshore.policy.EgressPolicy`` is one."""

    def check_name(self, address: SocketAddress) -> None:
        """Judge the destination as it was written.

        Raises:
            PolicyDenied: whatever it resolves to, it is forbidden.
        """

    def check_address(self, ip: IpAddress, port: int, *, hostname: str) -> None:
        """Judge one resolved address.

        Raises:
            PolicyDenied: it must not be connected.
        """


@dataclass(slots=True)
class Progress:
    """How far a dial has come; read when its time is over."""

    during: str = "resolve"
    attempts: list[ConnectAttempt] = field(default_factory=list)


@dataclass(slots=True)
class Opened:
    """A connected socket, which belongs to whoever holds this."""

    sock: socket.socket
    ip: IpAddress
    remote_address: str
    is_near: bool
    """Connected by the first call: the peer is on this machine, or next to it."""
    tcp_s: float
    dns_s: float | None = None


class Opening:
    """Opens one connection: ``begin()``, and ``finish()`` when that did not do.

    Args:
        request: where to.
        resolver: turns the name into addresses.
        policy: judges the name, and every address right before it is connected (rule K4); None allows everything.
        happy_eyeballs_delay_s: *Connection Attempt Delay*.
    """

    __slots__ = ("_delay_s", "_policy", "_request", "_resolver", "_sock", "_started", "progress")

    def __init__(
        self,
        request: DialRequest,
        resolver: Resolver,
        policy: AddressPolicy | None,
        happy_eyeballs_delay_s: float = HAPPY_EYEBALLS_DELAY_S,
    ) -> None:
        self._request = request
        self._resolver = resolver
        self._policy = policy
        self._delay_s = happy_eyeballs_delay_s
        self._sock: socket.socket | None = None
        self._started = 0.0
        self.progress = Progress()

    def begin(self) -> Opened | None:
        """Judge the name, or start to connect to the literal; return the socket if it is connected already.

        Raises:
            PolicyDenied: it may not be connected.
            ConnectError: it was refused.
        """
        request = self._request
        address = request.address
        ip = address.ip
        if ip is None:
            if self._policy is not None:
                self._policy.check_name(address)
            return None
        self.progress.during = "connect"
        if self._policy is not None:
            self._policy.check_address(ip, address.port, hostname=address.hostname)
        self._started = monotonic()
        try:
            sock, is_connected = connect_at_once(ip, request)
        except OSError as exc:
            raise self._refused(exc) from exc
        if is_connected:
            return Opened(sock, ip, str(address), is_near=True, tcp_s=monotonic() - self._started)
        self._sock = sock
        return None

    async def finish(self) -> Opened:
        """Do the rest.

        Raises:
            ResolveError: the name has no address.
            PolicyDenied: no address of it may be connected.
            ConnectError: no address accepted (``.attempts`` names each with its cause).

        Cancellation: safe; every descriptor opened so far is closed.
        """
        if self._request.address.ip is None:
            return await self._resolve_and_race()
        assert self._sock is not None, "begin() comes first"
        try:
            await finish_connect(self._sock)
        except OSError as exc:
            raise self._refused(exc) from exc
        sock, self._sock = self._sock, None
        tcp_s = monotonic() - self._started
        ip = self._request.address.ip
        return Opened(sock, ip, str(self._request.address), is_near=False, tcp_s=tcp_s)

    def abandon(self) -> None:
        """Close what ``begin()`` left behind, when ``finish()`` will not be called."""
        if self._sock is not None:
            self._sock.close()

    async def _resolve_and_race(self) -> Opened:
        address = self._request.address
        started = monotonic()
        ips = await self._candidates(address)
        resolved = monotonic()
        self.progress.during = "connect"
        won = await race(ips, self._request, self._delay_s, self.progress.attempts)
        if won is None:
            raise nobody_accepted(str(address), tuple(self.progress.attempts))
        sock, ip = won
        remote_address = format_address(ip, address.port)
        return Opened(sock, ip, remote_address, is_near=False, tcp_s=monotonic() - resolved, dns_s=resolved - started)

    async def _candidates(self, address: SocketAddress) -> Sequence[IpAddress]:
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
        allowed: list[IpAddress] = []
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

    def _refused(self, exc: OSError) -> ConnectError:
        address = str(self._request.address)
        self.progress.attempts.append(ConnectAttempt(address, exc, monotonic() - self._started))
        return nobody_accepted(address, tuple(self.progress.attempts))


@asynccontextmanager
async def limited_time(
    address: str, timeout_s: float | None, progress: Progress, *, elapsed_s: float = 0.0
) -> AsyncIterator[None]:
    """Bound a dial.

    Args:
        address: the destination, for the message.
        timeout_s: how long it may take altogether; None for no bound.
        progress: read when the time is over.
        elapsed_s: how much of it is over already.

    Raises:
        ConnectTimeout: the time is over; it says how far ``progress`` had come.
    """
    timeout = asyncio.timeout(None if timeout_s is None else max(0.0, timeout_s - elapsed_s))
    try:
        async with timeout:
            yield
    except TimeoutError as exc:
        if not timeout.expired() or timeout_s is None:
            raise
        raise timed_out(address, timeout_s, progress) from exc


def nobody_accepted(address: str, attempts: tuple[ConnectAttempt, ...]) -> ConnectError:
    """Return the error of a connection that failed everywhere."""
    tried = "; ".join(str(attempt) for attempt in attempts)
    error = ConnectError(f"cannot connect to {address}: {tried}", address=address, attempts=attempts)
    error.__cause__ = attempts[-1].error
    return error


def timed_out(address: str, timeout_s: float, progress: Progress) -> ConnectTimeout:
    """Return the error of a connection that took too long."""
    tried = "".join(f"; {attempt}" for attempt in progress.attempts)
    return ConnectTimeout(
        f"no connection to {address} within {timeout_s} s: time ran out during {_PHASES[progress.during]}{tried}",
        address=address,
        during="connect" if progress.during == "queue" else progress.during,
        attempts=tuple(progress.attempts),
        timeout_s=timeout_s,
    )
