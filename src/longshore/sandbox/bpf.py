"""The seccomp filter of a worker, as classic BPF (PURE).

What it decides, and why:

- ``socket`` of TCP, ``connect``, ``listen``, ``bind`` and ``ioctl`` on network interfaces are shown to the egress
  process (``SECCOMP_RET_USER_NOTIF``), which answers them. UDP sockets are the worker's own: its network is empty.
  Families that are not confined to a network namespace (AF_VSOCK), or that nobody needs (AF_PACKET, AF_ALG …), do not
  exist; netlink is the routing table only, which every getaddrinfo(3) reads.
- What would connect past ``connect``: ``MSG_FASTOPEN``, ``io_uring``.
- What would send a connection elsewhere than where it was judged: binding it to an interface, source routing.
- What would reach around all this: namespaces of one's own, and parts of the kernel that a worker has no use for and
  that are not confined to namespaces (keyrings, BPF, performance counters, userfaultfd, typing into a terminal).
- Calls of another architecture (``int 0x80``) and of x32, whose numbers mean something else.

What is refused is shown to the egress process too, which refuses it (``egress.trap_refusals``) and writes it into the
audit log. Two calls are refused here, because harmless programs make them all the time: ``clone3`` (every thread that
starts) and ``io_uring_setup`` (libuv, and hence uvloop and Node, for every loop).

Only the low halves of arguments are looked at: all of them are ``int`` or ``unsigned int`` for the kernel, which drops
the high halves itself. ``clone3`` hides its flags in memory and hence does not exist; C libraries then use ``clone``.

Calls whose verdict does not depend on arguments cost nothing after the first: the kernel keeps a bitmap (Linux 5.11).
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.sandbox.syscalls import Abi

__all__ = ["Instruction", "RET_ALLOW", "RET_ERRNO", "RET_USER_NOTIF", "make_filter", "pack_filter"]

RET_ERRNO: Final = 0x00050000
RET_USER_NOTIF: Final = 0x7FC00000
RET_ALLOW: Final = 0x7FFF0000

LD_W_ABS: Final = 0x20
JEQ: Final = 0x15
JGE: Final = 0x35
JSET: Final = 0x45
AND: Final = 0x54
RET: Final = 0x06

# struct seccomp_data { int nr; u32 arch; u64 ip; u64 args[6]; }, little endian.
_NR: Final = 0
_ARCH: Final = 4
X32_BIT: Final = 0x40000000

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_DGRAM: Final = 2
_SOCK_TYPE_MASK: Final = 0xF
_NETLINK_ROUTE: Final = 0
MSG_FASTOPEN: Final = 0x20000000
# Shorter than this is no address of IPv4 or IPv6, and binds neither; sockaddr_nl (12 bytes) passes unseen.
SOCKADDR_IN_BYTES: Final = 16
# CLONE_NEW*: NS, CGROUP, UTS, IPC, USER, PID, NET; for unshare, which has no exit signal in the low byte, TIME too.
NEW_NAMESPACES: Final = 0x7E020000
_CLONE_NEWTIME: Final = 0x80

SIOCGSKNS: Final = 0x894C
"""Returns a descriptor of the network namespace that a socket belongs to."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
REFUSED_IOCTLS: Final = (SIOCGSKNS, _TIOCSTI, _TIOCLINUX)
INTERFACE_IOCTLS: Final = (0x8910, 0x8BFF)
"""Interfaces, bridges, bonds; those of protocols and devices; wireless extensions."""

_SOL_IP, _SOL_SOCKET, _SOL_TCP, _SOL_IPV6 = 0, 1, 6, 41
REFUSED_OPTIONS: Final = (
    (_SOL_SOCKET, 25),  # SO_BINDTODEVICE
    (_SOL_SOCKET, 62),  # SO_BINDTOIFINDEX
    (_SOL_IP, 4),  # IP_OPTIONS: source routes
    (_SOL_IP, 50),  # IP_UNICAST_IF
    (_SOL_IPV6, 5),  # IPV6_2292RTHDR
    (_SOL_IPV6, 6),  # IPV6_2292PKTOPTIONS: may hold a routing header
    (_SOL_IPV6, 57),  # IPV6_RTHDR: segment routing
    (_SOL_IPV6, 76),  # IPV6_UNICAST_IF
    (_SOL_TCP, 31),  # TCP_ULP: "smc" makes another kind of socket of it, which Landlock does not know as TCP
    (_SOL_TCP, 30),  # TCP_FASTOPEN_CONNECT: connect() would answer before it has connected
)
"""(level, option)."""

_REFUSED: Final = (
    "setns",
    "add_key",
    "request_key",
    "keyctl",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_enter",
    "io_uring_register",
)
_NOT_THERE: Final = ("clone3", "io_uring_setup")


@dataclass(frozen=True, slots=True)
class Instruction:
    """``struct sock_filter``."""

    code: int
    jump_true: int
    jump_false: int
    k: int


_NOTIFY: Final = Instruction(RET, 0, 0, RET_USER_NOTIF)


def make_filter(abi: Abi) -> tuple[Instruction, ...]:
    """Return the program for one architecture."""
    blocks = _blocks()
    head = [*_load(_ARCH), _jump(JEQ, abi.audit_arch, 1, 0), _NOTIFY, *_load(_NR)]
    if abi.has_x32:
        head += [_jump(JGE, X32_BIT, 0, 1), _NOTIFY]
    return (*head, *_dispatch([(abi.numbers[name], block) for name, block in blocks.items()]))


def pack_filter(program: Sequence[Instruction]) -> bytes:
    """Return the array of ``struct sock_filter``."""
    return b"".join(struct.pack("=HBBI", each.code, each.jump_true, each.jump_false, each.k) for each in program)


def _blocks() -> dict[str, list[Instruction]]:
    """Return, for each call that is not simply allowed, what follows once its number is known."""
    notify, sends = [_NOTIFY], _notify_bits(MSG_FASTOPEN)
    blocks = {
        "socket": _socket_block(),
        "connect": notify,
        "listen": notify,
        "bind": [*_load_arg(2), _jump(JGE, SOCKADDR_IN_BYTES, 0, 1), *notify, _ret(RET_ALLOW)],
        "sendto": [*_load_arg(3), *sends],
        "sendmsg": [*_load_arg(2), *sends],
        "sendmmsg": [*_load_arg(3), *sends],
        "setsockopt": _setsockopt_block(),
        "ioctl": _ioctl_block(),
        "socketpair": [*_load_arg(0), _jump(JEQ, _AF_UNIX, 0, 1), _ret(RET_ALLOW), *notify],
        "clone": [*_load_arg(0), *_notify_bits(NEW_NAMESPACES)],
        "unshare": [*_load_arg(0), *_notify_bits(NEW_NAMESPACES | _CLONE_NEWTIME)],
    }
    blocks |= dict.fromkeys(_REFUSED, notify)
    return blocks | {name: [_ret(RET_ERRNO | errno.ENOSYS)] for name in _NOT_THERE}


def _socket_block() -> list[Instruction]:
    but_for_udp = [
        *_load_arg(1),
        Instruction(AND, 0, 0, _SOCK_TYPE_MASK),
        *_switch([(_SOCK_DGRAM, [_ret(RET_ALLOW)])], [_NOTIFY]),
    ]
    routing_table = [*_load_arg(2), *_switch([(_NETLINK_ROUTE, [_ret(RET_ALLOW)])], [_NOTIFY])]
    families = [
        (_AF_UNIX, [_ret(RET_ALLOW)]),
        (_AF_INET, but_for_udp),
        (_AF_INET6, but_for_udp),
        (_AF_NETLINK, routing_table),
    ]
    return [*_load_arg(0), *_switch(families, [_NOTIFY])]


def _setsockopt_block() -> list[Instruction]:
    by_level: dict[int, list[tuple[int, list[Instruction]]]] = {}
    for level, option in REFUSED_OPTIONS:
        by_level.setdefault(level, []).append((option, [_NOTIFY]))
    levels = [(level, [*_load_arg(2), *_switch(options, [_ret(RET_ALLOW)])]) for level, options in by_level.items()]
    return [*_load_arg(1), *_switch(levels, [_ret(RET_ALLOW)])]


def _ioctl_block() -> list[Instruction]:
    first, last = INTERFACE_IOCTLS
    refused = [(command, [_NOTIFY]) for command in REFUSED_IOCTLS]
    in_range = [
        _jump(JGE, first, 0, 2),
        _jump(JGE, last + 1, 1, 0),
        _NOTIFY,
        _ret(RET_ALLOW),
    ]
    return [*_load_arg(1), *_switch(refused, in_range)]


def _dispatch(cases: list[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """Return a switch over numbers that ends in ALLOW; each block must end in RET."""
    return _switch(cases, [_ret(RET_ALLOW)])


def _switch(cases: list[tuple[int, list[Instruction]]], default: list[Instruction]) -> list[Instruction]:
    """Return code that runs the block of the value in the accumulator, or ``default``.

    Each comparison stands right before its block: a jump reaches 255 instructions, the whole of a block is far less.
    """
    code: list[Instruction] = []
    for value, block in cases:
        code += [_jump(JEQ, value, 0, len(block)), *block]
    return [*code, *default]


def _load(offset: int) -> list[Instruction]:
    return [Instruction(LD_W_ABS, 0, 0, offset)]


def _load_arg(index: int) -> list[Instruction]:
    """Load the low half of an argument."""
    return _load(16 + 8 * index)


def _notify_bits(mask: int) -> list[Instruction]:
    return [_jump(JSET, mask, 0, 1), _NOTIFY, _ret(RET_ALLOW)]


def _jump(code: int, k: int, jump_true: int, jump_false: int) -> Instruction:
    return Instruction(code, jump_true, jump_false, k)


def _ret(k: int) -> Instruction:
    return Instruction(RET, 0, 0, k)
