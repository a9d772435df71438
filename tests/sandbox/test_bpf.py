"""The filter, run by an interpreter on both architectures, against a plain statement of the rules."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.sandbox.bpf import (
    RET_ALLOW,
    RET_ERRNO,
    RET_USER_NOTIF,
    make_filter,
    pack_filter,
)
from longshore.sandbox.syscalls import AARCH64, ABIS, X86_64
from tests.sandbox.bpf_machine import check, run, seccomp_data

if TYPE_CHECKING:
    from longshore.sandbox.syscalls import Abi

FILTERS = {machine: make_filter(abi) for machine, abi in ABIS.items()}
NEW = 0x7E020000
each_abi = pytest.mark.parametrize("abi", ABIS.values(), ids=list(ABIS))


def rules(abi: Abi, number: int, arch: int, args: list[int]) -> int:
    """What the filter is for, in the plainest words."""
    number &= 0xFFFF_FFFF
    a, b, c, d = (each & 0xFFFF_FFFF for each in args[:4])
    name = next((name for name, known in abi.numbers.items() if known == number), None)
    if name in ("clone3", "io_uring_setup") and arch == abi.audit_arch:
        return RET_ERRNO | errno.ENOSYS
    return RET_USER_NOTIF if is_shown(abi, number, arch, name, a, b, c, d) else RET_ALLOW


def is_shown(abi: Abi, number: int, arch: int, name: str | None, a: int, b: int, c: int, d: int) -> bool:  # noqa: C901 - a list
    """Whether the egress process has to answer it."""
    if arch != abi.audit_arch or (abi.has_x32 and number >= 0x4000_0000):
        return True
    match name:
        case None:
            return False
        case "bind":
            return c >= 16
        case "socket":
            return not (a == 1 or (a == 16 and c == 0) or (a in (2, 10) and b & 15 == 2))
        case "socketpair":
            return a != 1
        case "sendto" | "sendmmsg":
            return bool(d & 0x2000_0000)
        case "sendmsg":
            return bool(c & 0x2000_0000)
        case "setsockopt":
            steering = {(1, 25), (1, 62), (0, 4), (0, 50), (41, 5), (41, 6), (41, 57), (41, 76), (6, 30), (6, 31)}
            return (b, c) in steering
        case "ioctl":
            return b in (0x5412, 0x541C) or 0x8910 <= b <= 0x8BFF
        case "clone":
            return bool(a & NEW)
        case "unshare":
            return bool(a & (NEW | 0x80))
        case _:
            return True


@each_abi
def test_the_kernel_would_take_the_program(abi: Abi) -> None:
    program = FILTERS[abi.machine]
    check(program)
    assert len(pack_filter(program)) == 8 * len(program)


@each_abi
@pytest.mark.parametrize("name", X86_64.numbers)
def test_every_named_call_follows_the_rules_at_their_edges(abi: Abi, name: str) -> None:
    edges = [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        10,
        15,
        16,
        17,
        25,
        28,
        30,
        31,
        40,
        41,
        57,
        62,
        76,
        0x80,
        0x5412,
        0x541C,
        0x890F,
        0x8910,
    ]
    edges += [
        0x894C,
        0x89FF,
        0x8A00,
        0x8BFF,
        0x8C00,
        0x2000_0000,
        0x2000_0001,
        0x1000_0000,
        0x0802,
        0x8_0801,
        1 << 32,
        (1 << 64) - 1,
    ]
    number = abi.numbers[name]
    for first in edges:
        for second in edges:
            for third in (0, 1, 4, 5, 6, 12, 15, 16, 25, 30, 50, 57, 62, 76, 0x2000_0000):
                for args in ([first, second, third, 0], [first, second, third, 0x2000_0000 | first]):
                    data = seccomp_data(number, abi.audit_arch, args)
                    assert run(FILTERS[abi.machine], data) == rules(abi, number, abi.audit_arch, args)


@settings(max_examples=2000)
@given(
    abi=st.sampled_from([X86_64, AARCH64]),
    number=st.one_of(
        st.sampled_from(sorted({*X86_64.numbers.values(), *AARCH64.numbers.values()})),
        st.integers(0, 500),
        st.integers(0, 0xFFFF_FFFF),
    ),
    arch=st.one_of(
        st.just(None), st.sampled_from([0x40000003, X86_64.audit_arch, AARCH64.audit_arch]), st.integers(0, 0xFFFF_FFFF)
    ),
    args=st.lists(
        st.one_of(st.integers(0, 100), st.integers(0x8900, 0x8CFF), st.integers(0, (1 << 64) - 1)),
        min_size=6,
        max_size=6,
    ),
)
def test_the_filter_says_what_the_rules_say(abi: Abi, number: int, arch: int | None, args: list[int]) -> None:
    arch = abi.audit_arch if arch is None else arch
    found = run(FILTERS[abi.machine], seccomp_data(number, arch, args))
    assert found == rules(abi, number, arch, args)


@each_abi
def test_ordinary_calls_are_decided_by_their_number_alone(abi: Abi) -> None:
    """So that the kernel's bitmap spares them the filter: whatever the arguments are, read and write are allowed."""
    read, write = {"x86_64": (0, 1), "aarch64": (63, 64)}[abi.machine]
    for number in (read, write):
        data = seccomp_data(number, abi.audit_arch, ())[:16]
        assert run(FILTERS[abi.machine], data) == RET_ALLOW, "no argument was loaded: there are none in the data"
