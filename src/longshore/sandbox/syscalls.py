"""The numbers that the seccomp filter needs, for each architecture (PURE).

From ``asm/unistd_64.h`` (x86-64) and ``asm-generic/unistd.h`` (aarch64) of Linux. What is not listed here cannot be
named in a filter, so that a call is never forgotten on one of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AARCH64", "ABIS", "X86_64", "Abi", "abi_of"]


@dataclass(frozen=True, slots=True)
class Abi:
    """How one architecture numbers its system calls."""

    machine: str
    """As ``os.uname()`` spells it."""
    audit_arch: int
    """``AUDIT_ARCH_*``: what ``seccomp_data.arch`` says."""
    numbers: Mapping[str, int]
    has_x32: bool = False
    """Whether numbers from 0x40000000 on are a second table (x32) of the same architecture."""


# What both architectures number alike: everything that came after they agreed on one table (Linux 5.1).
_COMMON: Final[dict[str, int]] = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "clone3": 435,
}

X86_64: Final = Abi(
    "x86_64",
    0xC000003E,
    {
        "ioctl": 16,
        "socket": 41,
        "connect": 42,
        "sendto": 44,
        "sendmsg": 46,
        "bind": 49,
        "listen": 50,
        "socketpair": 53,
        "setsockopt": 54,
        "clone": 56,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "unshare": 272,
        "perf_event_open": 298,
        "sendmmsg": 307,
        "setns": 308,
        "bpf": 321,
        "userfaultfd": 323,
        **_COMMON,
    },
    has_x32=True,
)

AARCH64: Final = Abi(
    "aarch64",
    0xC00000B7,
    {
        "ioctl": 29,
        "unshare": 97,
        "socket": 198,
        "socketpair": 199,
        "bind": 200,
        "listen": 201,
        "connect": 203,
        "sendto": 206,
        "setsockopt": 208,
        "sendmsg": 211,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "clone": 220,
        "perf_event_open": 241,
        "setns": 268,
        "sendmmsg": 269,
        "bpf": 280,
        "userfaultfd": 282,
        **_COMMON,
    },
)

ABIS: Final = {abi.machine: abi for abi in (X86_64, AARCH64)}


def abi_of(machine: str) -> Abi | None:
    """Return the table of ``os.uname().machine``; None when there is none, and hence no seccomp layer."""
    return ABIS.get(machine)
