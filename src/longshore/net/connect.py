"""Connecting one TCP socket to one address, and racing several (RFC 8305)."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import lru_cache
from ipaddress import IPv6Address
from time import monotonic
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.aio.waiter import Waiter
from longshore.errors import ConnectAttempt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address

    from longshore.abc import DialRequest
    from longshore.core.addresses import SocketAddress

__all__ = ["connect_at_once", "connect_one", "finish_connect", "format_address", "race"]

# Where the system has SOCK_NONBLOCK, the socket is born non-blocking: one system call less.
_STREAM = socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0)
_IN_PROGRESS = {errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK, errno.EINTR}


@lru_cache(maxsize=1024)
def format_address(ip: IPv4Address | IPv6Address, port: int) -> str:
    """Return ``ip:port`` or ``[ipv6]:port``."""
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


def connect_at_once(ip: IPv4Address | IPv6Address, request: DialRequest) -> tuple[socket.socket, bool]:
    """Return a non-blocking socket, and whether it is connected already; ``connect_one`` goes on otherwise.

    Raises:
        OSError: the system refused, or the peer did.
    """
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    sock = socket.socket(family, _STREAM)
    try:
        _set_options(sock, request)
        return sock, _begin_connect(sock, _sockaddr(ip, request.address))
    except BaseException:
        sock.close()
        raise


async def connect_one(ip: IPv4Address | IPv6Address, request: DialRequest) -> socket.socket:
    """Return a connected, non-blocking socket.

    Raises:
        OSError: the system refused, or the peer did.

    Cancellation: safe; the socket is closed.
    """
    sock, is_connected = connect_at_once(ip, request)
    if not is_connected:
        await finish_connect(sock)
    return sock


async def finish_connect(sock: socket.socket) -> None:
    """Wait until a connecting socket is connected.

    Raises:
        OSError: the peer or the network refused; the socket is closed.

    Cancellation: safe; the socket is closed.
    """
    try:
        await _until_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise


def _set_options(sock: socket.socket, request: DialRequest) -> None:
    if _STREAM == socket.SOCK_STREAM:
        sock.setblocking(False)
    if request.no_delay:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if request.keep_alive_s is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        idle_option = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
        if idle_option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, idle_option, max(1, round(request.keep_alive_s)))
    if request.local_address is not None:
        sock.bind(request.local_address)


def _sockaddr(ip: IPv4Address | IPv6Address, address: SocketAddress) -> tuple[str, int] | tuple[str, int, int, int]:
    port = address.port
    if not isinstance(ip, IPv6Address):
        # The host name of a literal is its canonical text: no need to make it again.
        return address.hostname if address.ip is ip else str(ip), port
    zone = ip.scope_id
    if zone is None:
        return str(ip), port, 0, 0
    index = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return str(IPv6Address(int(ip))), port, 0, index


def _begin_connect(sock: socket.socket, sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> bool:
    code = sock.connect_ex(sockaddr)
    if code in _IN_PROGRESS:
        # On the same machine the handshake is over when the first call returns; asking again (connect(2) of a
        # connecting socket) is cheaper than a trip through the poll set.
        code = sock.connect_ex(sockaddr)
    if code in _IN_PROGRESS:
        return False
    if code not in (0, errno.EISCONN):
        raise OSError(code, os.strerror(code))
    return True


async def _until_writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    waiter = Waiter()
    loop.add_writer(sock.fileno(), waiter.wake)
    try:
        await waiter
    finally:
        loop.remove_writer(sock.fileno())


async def race(
    ips: Sequence[IPv4Address | IPv6Address],
    request: DialRequest,
    delay_s: float,
    failed: list[ConnectAttempt],
) -> tuple[socket.socket, IPv4Address | IPv6Address] | None:
    """Try the addresses in order, the next after ``delay_s`` or a failure; the first connection wins.

    Args:
        ips: in the order of RFC 8305 §4.
        request: port and socket options.
        delay_s: *Connection Attempt Delay* (RFC 8305 §5).
        failed: receives each failed attempt as it happens.

    Returns:
        The connected socket and its address, or None when all failed.

    Cancellation: safe; all sockets are closed.
    """
    if len(ips) == 1:
        sock = await _attempt(ips[0], request, failed)
        return None if sock is None else (sock, ips[0])
    return await _Race(ips, request, delay_s, failed).run()


async def _attempt(
    ip: IPv4Address | IPv6Address, request: DialRequest, failed: list[ConnectAttempt]
) -> socket.socket | None:
    started = monotonic()
    try:
        return await connect_one(ip, request)
    except OSError as exc:
        failed.append(ConnectAttempt(format_address(ip, request.address.port), exc, monotonic() - started))
        return None


class _Race:
    """Attempts in flight; state changes only in ``run()`` and in the callback of a finished task."""

    def __init__(
        self,
        ips: Sequence[IPv4Address | IPv6Address],
        request: DialRequest,
        delay_s: float,
        failed: list[ConnectAttempt],
    ) -> None:
        self._waiting = list(reversed(ips))
        self._request = request
        self._delay_s = delay_s
        self._failed = failed
        self._running: dict[asyncio.Task[socket.socket | None], IPv4Address | IPv6Address] = {}

    async def run(self) -> tuple[socket.socket, IPv4Address | IPv6Address] | None:
        try:
            while self._waiting or self._running:
                if self._waiting:
                    self._start(self._waiting.pop())
                timeout_s = self._delay_s if self._waiting else None
                done, _ = await asyncio.wait(self._running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    ip = self._running.pop(task)
                    sock = task.result()
                    if sock is not None:
                        self._close_others(done)
                        return sock, ip
            return None
        finally:
            self._stop()

    def _start(self, ip: IPv4Address | IPv6Address) -> None:
        task = spawn(_attempt(ip, self._request, self._failed), name=f"connect {ip}")
        self._running[task] = ip

    def _close_others(self, done: set[asyncio.Task[socket.socket | None]]) -> None:
        for task in done & self._running.keys():
            del self._running[task]
            loser = task.result()
            if loser is not None:
                loser.close()

    def _stop(self) -> None:
        """End the attempts that lost; one that connects at the last moment is closed.

        Nothing is awaited here: the winner is in nobody's hands yet, and a cancellation would lose it.
        """
        for task in self._running:
            task.cancel()
            task.add_done_callback(_close_result)


def _close_result(task: asyncio.Task[socket.socket | None]) -> None:
    if not task.cancelled():
        sock = task.result()
        if sock is not None:
            sock.close()
