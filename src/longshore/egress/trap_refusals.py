"""What no worker may do, whatever the rules are: which errno it gets, and what the audit log says (PURE).

The filter (``longshore.sandbox.bpf``) shows such calls only in the forms that are refused.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from longshore.sandbox.bpf import REFUSED_IOCTLS, X32_BIT
from longshore.sandbox.structs import AF_INET, AF_INET6, to_int

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["foreign_call", "is_refused_ioctl", "is_tcp", "refused_errno", "refused_detail"]

_AF_NETLINK: Final = 16
_INT: Final = 0xFFFF_FFFF
_SOCK_STREAM, _SOCK_RAW, _SOCK_TYPE_MASK = 1, 3, 0xF
_SOL_TCP: Final = 6
_ERRNOS: Final = {
    "socketpair": errno.EAFNOSUPPORT,
    "sendto": errno.EOPNOTSUPP,
    "sendmsg": errno.EOPNOTSUPP,
    "sendmmsg": errno.EOPNOTSUPP,
    "io_uring_enter": errno.ENOSYS,
    "io_uring_register": errno.ENOSYS,
}
# Which arguments say what was tried; none of them is an address in memory.
_TOLD: Final = {
    "socket": (("family", 0, _INT), ("type", 1, _SOCK_TYPE_MASK), ("protocol", 2, _INT)),
    "socketpair": (("family", 0, _INT),),
    "setsockopt": (("level", 1, _INT), ("option", 2, _INT)),
}


def is_tcp(args: Sequence[int]) -> bool:
    """Return whether a socket(2) with these arguments asks for TCP, or for what is much the same."""
    return to_int(args[0]) in (AF_INET, AF_INET6) and args[1] & _SOCK_TYPE_MASK == _SOCK_STREAM


def is_refused_ioctl(args: Sequence[int]) -> bool:
    """Return whether an ioctl(2) with these arguments is refused on every descriptor."""
    return args[1] & _INT in REFUSED_IOCTLS


def refused_errno(name: str | None, args: Sequence[int]) -> int:
    """Return what a call fails with: what it does on a system that does not have it, where there are such systems.

    Args:
        name: of the call; None: a number that this architecture does not have.
        args: its arguments.
    """
    match name:
        case None:
            return errno.ENOSYS
        case "socket" if to_int(args[0]) == _AF_NETLINK:
            return errno.EPROTONOSUPPORT
        case "socket" if to_int(args[0]) in (AF_INET, AF_INET6):
            return errno.EPERM if args[1] & _SOCK_TYPE_MASK == _SOCK_RAW else errno.ESOCKTNOSUPPORT
        case "socket":
            return errno.EAFNOSUPPORT
        case "setsockopt":
            return errno.EOPNOTSUPP if to_int(args[1]) == _SOL_TCP else errno.EPERM
        case _:
            return _ERRNOS.get(name, errno.EPERM)


def refused_detail(name: str | None, number: int, args: Sequence[int]) -> tuple[str, str]:
    """Return the operation and the detail for the audit log."""
    if name is None:
        is_x32 = number & X32_BIT
        return "system call", f"number {number & ~X32_BIT} of x32" if is_x32 else f"number {number}"
    if name in ("sendto", "sendmsg", "sendmmsg"):
        return name, "MSG_FASTOPEN"
    if name == "ioctl":
        return name, f"{args[1] & _INT:#06x}"
    return name, ", ".join(f"{word} {to_int(args[index] & mask)}" for word, index, mask in _TOLD.get(name, ()))


def foreign_call(number: int, arch: int) -> tuple[str, str]:
    """Return the same for a call of another architecture."""
    return "system call", f"number {number} of architecture {arch:#010x}; the process was killed"
