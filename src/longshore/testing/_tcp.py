"""What ``FaultProxy`` needs of TCP beyond asyncio: real FIN, real RST, and what the peer has got."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.core.addresses import SocketAddress

__all__ = [
    "READ_BYTES",
    "close",
    "connect_upstream",
    "has_unread_bytes",
    "reset",
    "send_fin",
    "wait_acknowledged",
    "wait_transmitted",
]

READ_BYTES = 64 * 1024
DISCARD_AT_CLOSE_BYTES = 1 << 20
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, no time
_SIOCOUTQNSD = 0x894B  # include/uapi/linux/sockios.h: what is in the send queue and not sent yet
_TCP_CLOSE = 7  # include/net/tcp_states.h; the first byte of TCP_INFO


async def connect_upstream(upstream: SocketAddress) -> socket.socket:
    loop = asyncio.get_running_loop()
    if upstream.is_literal:  # needs no name service, and so no thread
        found = socket.getaddrinfo(upstream.hostname, upstream.port, type=socket.SOCK_STREAM)
    else:
        found = await loop.getaddrinfo(upstream.hostname, upstream.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    except BaseException:
        reset(sock)  # the server may have accepted it already
        raise
    return sock


async def wait_acknowledged(sock: socket.socket) -> None:
    """Wait until the peer's kernel has everything that was sent, or is gone."""
    await _poll(lambda: not _unacknowledged_bytes(sock) or _is_dead(sock))


async def wait_transmitted(sock: socket.socket) -> None:
    """Wait until everything that was sent has left in a segment, so that the next bytes cannot join it."""
    await _poll(lambda: not _unsent_bytes(sock) or _is_dead(sock))


async def _poll(is_true: Callable[[], bool]) -> None:
    """Wait for something the kernel has no event for.

    It asks at every turn of the loop at first, as the loopback answers at once, then less often for a
    receiver that does not read.
    """
    turns = 0
    while not is_true():
        turns += 1
        await asyncio.sleep(0 if turns < 100 else 0.001)


def _unacknowledged_bytes(sock: socket.socket) -> int:
    return _queued_bytes(sock, termios.TIOCOUTQ)  # SIOCOUTQ of tcp(7) has the same number


def _unsent_bytes(sock: socket.socket) -> int:
    return _queued_bytes(sock, _SIOCOUTQNSD)


def _queued_bytes(sock: socket.socket, request: int) -> int:
    if sys.platform != "linux":
        return 0  # the loopback delivers at once as long as the receiver has room
    return int.from_bytes(fcntl.ioctl(sock.fileno(), request, bytes(4)), sys.byteorder)


def _is_dead(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE


def has_unread_bytes(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def send_fin(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


def close(sock: socket.socket) -> None:
    """Close with FIN; unread bytes would make the kernel send a RST (RFC 1122 §4.2.2.13)."""
    left = DISCARD_AT_CLOSE_BYTES
    with contextlib.suppress(OSError):
        while left > 0 and (discarded := len(sock.recv(READ_BYTES))):
            left -= discarded
    sock.close()


def reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()
