"""What trapped system calls are answered with, as far as it can be said without touching anything (PURE)."""

from __future__ import annotations

import errno
import os
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from longshore.egress.names import WORKER_IPV4, WORKER_IPV6
from longshore.sandbox.structs import AF_INET, AF_INET6, SOCKADDR_MAX_BYTES, parse_family

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress
    from longshore.policy.evaluate import Verdict

__all__ = [
    "ERESTARTSYS",
    "MISMATCHED",
    "READABLE_IOCTLS",
    "SIOCGIFCONF",
    "WAS_UNCONNECTED",
    "Locality",
    "address_error",
    "denial_errno",
    "cloexec_of_fdinfo",
    "has_pending_signal",
    "is_cloexec",
    "is_nonblocking",
    "length_error",
    "limit_errno",
    "locality",
    "outcome",
    "socket_error",
    "to_loopback",
]

ERESTARTSYS: Final = 512
"""The kernel's own: run a signal handler, then start the call anew if that has SA_RESTART, or fail with EINTR."""

_SOCK_STREAM: Final = 1
_SOCK_TYPE_MASK: Final = 0xF
_SOCK_NONBLOCK, _SOCK_CLOEXEC = 0o4000, 0o2000000
_TCP_PROTOCOLS: Final = frozenset({0, 6, 262})
# MPTCP (262) is answered with TCP, which is what it comes to when the peer has no MPTCP.

MISMATCHED: Final = {
    AF_INET: AF_INET6.to_bytes(2, "little") + bytes(26),
    AF_INET6: AF_INET.to_bytes(2, "little") + bytes(26),
}
"""An address that a socket of this family cannot connect to, whatever happens.

connect(2) looks at the state of a socket before it looks at the address: of a socket that is connecting or connected it
says what it would say to any address (and takes the socket out of the connecting state, as a second connect does), of
another ``WAS_UNCONNECTED``, and nothing is sent. That is how the state is asked for without a race: another thread of
the worker may shut the socket down at any time, and an address that has not been judged must not be in a call then.
"""
WAS_UNCONNECTED: Final = errno.EAFNOSUPPORT

SIOCGIFCONF: Final = 0x8912
READABLE_IOCTLS: Final = frozenset(
    {
        0x8910,  # SIOCGIFNAME
        0x8913,  # SIOCGIFFLAGS
        0x8915,  # SIOCGIFADDR
        0x8917,  # SIOCGIFDSTADDR
        0x8919,  # SIOCGIFBRDADDR
        0x891B,  # SIOCGIFNETMASK
        0x891D,  # SIOCGIFMETRIC
        0x8921,  # SIOCGIFMTU
        0x8927,  # SIOCGIFHWADDR
        0x8933,  # SIOCGIFINDEX
        0x8942,  # SIOCGIFTXQLEN
        0x8970,  # SIOCGIFMAP
    }
)
"""They read a ``struct ifreq`` and fill it in. All the rest would change something, or needs a capability."""


class Locality(Enum):
    """Which network an address belongs to, as the worker sees it."""

    OUTSIDE = "outside"
    LOOPBACK = "loopback"
    """The worker's own, where it listens there; otherwise the host's."""
    INSIDE = "inside"
    """The worker's own and nobody else's."""


_INSIDE: Final = frozenset({WORKER_IPV4, WORKER_IPV6})


@lru_cache(maxsize=1024)
def locality(ip: IpAddress) -> Locality:
    """Say where ``ip`` is; v4-mapped addresses must have been unwrapped."""
    if ip in _INSIDE:
        return Locality.INSIDE
    return Locality.LOOPBACK if ip.is_loopback or ip.is_unspecified else Locality.OUTSIDE


@lru_cache(maxsize=1024)
def to_loopback(ip: IpAddress) -> IpAddress:
    """Return what a connection to ``ip`` goes to: the kernel takes "any address" for this host."""
    if not ip.is_unspecified:
        return ip
    return IPv4Address("127.0.0.1") if ip.version == 4 else IPv6Address("::1")


def socket_error(kind: int, protocol: int) -> int:
    """Return the errno for a socket that cannot be made for a worker; 0: it can."""
    if kind & ~(_SOCK_TYPE_MASK | _SOCK_NONBLOCK | _SOCK_CLOEXEC):
        return errno.EINVAL
    if kind & _SOCK_TYPE_MASK != _SOCK_STREAM:
        return errno.ESOCKTNOSUPPORT
    return 0 if protocol in _TCP_PROTOCOLS else errno.EPROTONOSUPPORT


def is_cloexec(kind: int) -> bool:
    """Return whether the ``type`` of a socket(2) asks for FD_CLOEXEC."""
    return bool(kind & _SOCK_CLOEXEC)


def is_nonblocking(kind: int) -> bool:
    """Return whether the ``type`` of a socket(2) asks for O_NONBLOCK."""
    return bool(kind & _SOCK_NONBLOCK)


def length_error(length: int) -> int:
    """Return the errno for an address of so many bytes, before it is read; 0: read it."""
    return 0 if 0 <= length <= SOCKADDR_MAX_BYTES else errno.EINVAL


def address_error(family: int, raw: bytes) -> int:
    """Return what connect(2) on a fresh TCP socket of ``family`` says to an address it cannot take; 0: it can."""
    if len(raw) < (16 if family == AF_INET else 24):
        return errno.EINVAL
    return 0 if parse_family(raw) == family else errno.EAFNOSUPPORT


def denial_errno(verdict: Verdict) -> int:
    """Return what a client gets that may not connect there."""
    return errno.ELOOP if verdict.is_loop else errno.EACCES


def limit_errno(limit: str) -> int:
    """Return what a client gets that has reached a limit.

    Not EAGAIN, which asyncio and libuv take for a connection in progress.
    """
    return errno.EMFILE if "open_sockets" in limit else errno.ENOBUFS


def outcome(code: int) -> str:
    """Return an errno of connect(2) in the words of the audit log."""
    return _OUTCOMES.get(code) or os.strerror(code).lower()


_OUTCOMES: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timed out",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "reset",
}


def has_pending_signal(status: bytes) -> bool:
    """Return whether a thread waits for the end of a system call to run a signal handler.

    Args:
        status: its ``/proc/TID/status``. Signals that are ignored never become pending.
    """
    masks = {
        name: int(value, 16)
        for name, _, value in (line.partition(b":") for line in status.splitlines())
        if name in (b"SigPnd", b"ShdPnd", b"SigBlk")
    }
    if len(masks) < 3:
        return False
    return bool((masks[b"SigPnd"] | masks[b"ShdPnd"]) & ~masks[b"SigBlk"])


def cloexec_of_fdinfo(text: bytes) -> bool:
    """Return whether a descriptor is close-on-exec, from its ``/proc/TID/fdinfo/FD``."""
    for line in text.splitlines():
        if line.startswith(b"flags:"):
            return bool(int(line.split()[1], 8) & _SOCK_CLOEXEC)
    return False
