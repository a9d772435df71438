"""What a program may have set on a socket before the socket is exchanged for one of another network (shell)."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Final

__all__ = ["copy_settings"]

_INT = 4
_SIMPLE: Final = tuple(
    (level, option, size)
    for level, option, size in (
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, _INT),
        (socket.SOL_SOCKET, getattr(socket, "SO_REUSEPORT", -1), _INT),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, _INT),
        (socket.SOL_SOCKET, socket.SO_OOBINLINE, _INT),
        (socket.SOL_SOCKET, getattr(socket, "SO_PRIORITY", -1), _INT),
        (socket.SOL_SOCKET, socket.SO_LINGER, 8),
        (socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16),
        (socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, _INT),
        (socket.IPPROTO_TCP, socket.TCP_MAXSEG, _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_CORK", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_SYNCNT", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_LINGER2", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_DEFER_ACCEPT", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_WINDOW_CLAMP", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_QUICKACK", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", -1), _INT),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_CONGESTION", -1), 16),
        (socket.IPPROTO_IP, socket.IP_TOS, _INT),
        (socket.IPPROTO_IP, socket.IP_TTL, _INT),
        (socket.IPPROTO_IPV6, getattr(socket, "IPV6_TCLASS", -1), _INT),
        (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, _INT),
        (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _INT),
    )
    if option >= 0
)
# Read back doubled (socket(7)).
_HALVED: Final = (socket.SO_SNDBUF, socket.SO_RCVBUF)


def copy_settings(old: socket.socket, new: socket.socket) -> None:
    """Give ``new`` the options and the status flags of ``old`` that differ; what the kernel refuses stays as it is."""
    for level, option, size in _SIMPLE:
        _copy_option(old, new, level, option, size)
    for option in _HALVED:
        wanted = old.getsockopt(socket.SOL_SOCKET, option)
        if wanted != new.getsockopt(socket.SOL_SOCKET, option):
            new.setsockopt(socket.SOL_SOCKET, option, wanted // 2)
    flags = fcntl.fcntl(old, fcntl.F_GETFL)
    if (flags ^ fcntl.fcntl(new, fcntl.F_GETFL)) & os.O_NONBLOCK:
        fcntl.fcntl(new, fcntl.F_SETFL, flags)


def _copy_option(old: socket.socket, new: socket.socket, level: int, option: int, size: int) -> None:
    try:
        wanted = old.getsockopt(level, option, size)
        if wanted != new.getsockopt(level, option, size):
            new.setsockopt(level, option, wanted)
    except OSError:
        # IPv6 options on an IPv4 socket; a congestion control that only the administrator may choose.
        pass
