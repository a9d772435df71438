"""Structures of the kernel that seccomp notifications and socket addresses are made of (PURE).

Everything is little endian and of the same layout on x86-64 and aarch64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress

__all__ = [
    "AF_INET",
    "AF_INET6",
    "AF_NETLINK",
    "AF_UNIX",
    "AF_UNSPEC",
    "IFCONF_BYTES",
    "NOTIF_BYTES",
    "SOCKADDR_MAX_BYTES",
    "Notification",
    "Peer",
    "make_sockaddr",
    "make_unix_sockaddr",
    "pack_addfd",
    "pack_ifconf",
    "pack_response",
    "parse_family",
    "parse_peer",
    "to_int",
    "unix_path",
    "unpack_ifconf",
    "unpack_notification",
]

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 0, 1, 2, 10, 16
SOCKADDR_MAX_BYTES: Final = 128
"""``sizeof(struct sockaddr_storage)``: the kernel takes no longer address."""

# struct seccomp_notif { u64 id; u32 pid; u32 flags; struct seccomp_data { int nr; u32 arch; u64 ip; u64 args[6]; } }
_NOTIF: Final = struct.Struct("=QIIiIQ6Q")
_RESPONSE: Final = struct.Struct("=QqiI")  # { u64 id; s64 val; s32 error; u32 flags; }
_ADDFD: Final = struct.Struct("=QIIII")  # { u64 id; u32 flags; u32 srcfd; u32 newfd; u32 newfd_flags; }
_SOCKADDR_IN: Final = struct.Struct(">H4s")
_SOCKADDR_IN6: Final = struct.Struct(">HI16s")
NOTIF_BYTES: Final = _NOTIF.size

# struct ifconf { int ifc_len; char *ifc_buf; }
_IFCONF: Final = struct.Struct("=i4xQ")
IFCONF_BYTES: Final = _IFCONF.size

_SIN_BYTES, _SIN6_BYTES = 16, 28
_SIN6_RFC2133_BYTES: Final = 24
"""Without ``sin6_scope_id``: the kernel takes that too."""


class Notification(NamedTuple):
    """A system call that waits for its answer."""

    id: int
    tid: int
    """Of the calling thread, as the receiver sees it."""
    number: int
    args: tuple[int, int, int, int, int, int]
    arch: int
    """``AUDIT_ARCH_*``; of another one than the machine's, ``number`` means another call."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An address of IPv4 or IPv6, as a program gave it to ``connect`` or ``bind``."""

    family: int
    ip: IpAddress
    """Of a v4-mapped address the IPv4 address, without zone."""
    port: int
    scope_id: int = 0


def unpack_notification(raw: bytes) -> Notification:
    """Return what ``SECCOMP_IOCTL_NOTIF_RECV`` filled in."""
    identifier, tid, _flags, number, arch, _ip, *args = _NOTIF.unpack(raw)
    return Notification(identifier, tid, number, tuple(args), arch)


def pack_response(identifier: int, *, value: int = 0, error: int = 0, flags: int = 0) -> bytes:
    """Return the argument of ``SECCOMP_IOCTL_NOTIF_SEND``; ``error`` is 0 or negative."""
    return _RESPONSE.pack(identifier, value, error, flags)


def pack_addfd(identifier: int, fd: int, *, at: int | None, is_answer: bool, fd_flags: int) -> bytes:
    """Return the argument of ``SECCOMP_IOCTL_NOTIF_ADDFD``.

    Args:
        identifier: of the notification.
        fd: ours.
        at: the number it gets in the other process, replacing what is there; None: the lowest free one.
        is_answer: the number is the result of the call, which ends.
        fd_flags: ``O_CLOEXEC`` or 0.
    """
    flags = (1 if at is not None else 0) | (2 if is_answer else 0)
    return _ADDFD.pack(identifier, flags, fd, at or 0, fd_flags)


def to_int(argument: int) -> int:
    """Return an argument of a system call as the C ``int`` that the kernel reads from it."""
    low = argument & 0xFFFF_FFFF
    return low - (1 << 32) if low & 0x8000_0000 else low


def unpack_ifconf(raw: bytes) -> tuple[int, int]:
    """Return length and address of the buffer of an ``SIOCGIFCONF``."""
    length, address = _IFCONF.unpack(raw)
    return length, address


def pack_ifconf(length: int, address: int) -> bytes:
    """Return the argument of an ``SIOCGIFCONF``."""
    return _IFCONF.pack(length, address)


def parse_family(raw: bytes) -> int | None:
    """Return the address family; None when there are not even two bytes."""
    return int.from_bytes(raw[:2], "little") if len(raw) >= 2 else None


# A program connects to few addresses, again and again; making one takes longer than connect(2) itself.
@lru_cache(maxsize=1024)
def parse_peer(raw: bytes) -> Peer | None:
    """Return an address of IPv4 or IPv6; None for another family, or when it is too short for its family."""
    family = parse_family(raw)
    if family == AF_INET and len(raw) >= _SIN_BYTES:
        port, packed = _SOCKADDR_IN.unpack_from(raw, 2)
        return Peer(AF_INET, IPv4Address(packed), port)
    if family == AF_INET6 and len(raw) >= _SIN6_RFC2133_BYTES:
        port, _flow, packed = _SOCKADDR_IN6.unpack_from(raw, 2)
        ip = IPv6Address(packed)
        scope_id = int.from_bytes(raw[24:28], "little") if len(raw) >= _SIN6_BYTES else 0
        return Peer(AF_INET6, ip.ipv4_mapped or ip, port, scope_id)
    return None


@lru_cache(maxsize=1024)
def make_sockaddr(family: int, ip: IpAddress, port: int, scope_id: int = 0) -> bytes | None:
    """Return an address for a socket of ``family``; None when such a socket cannot reach ``ip``."""
    if family == AF_INET:
        return None if ip.version == 6 else _native_family(AF_INET) + _SOCKADDR_IN.pack(port, ip.packed) + bytes(8)
    packed = ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed
    return _native_family(AF_INET6) + _SOCKADDR_IN6.pack(port, 0, packed) + scope_id.to_bytes(4, "little")


def unix_path(raw: bytes) -> bytes:
    """Return the path of an ``AF_UNIX`` address; empty for an abstract one and for one without a name."""
    return raw[2:].partition(b"\0")[0]


def make_unix_sockaddr(path: str) -> bytes:
    """Return an ``AF_UNIX`` address."""
    return _native_family(AF_UNIX) + path.encode() + b"\0"


def _native_family(family: int) -> bytes:
    return family.to_bytes(2, "little")
