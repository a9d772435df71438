"""The tables against the headers of the system."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longshore.sandbox.syscalls import AARCH64, X86_64, abi_of

HEADERS = {
    "x86_64": [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")],
    "aarch64": [Path("/usr/include/asm-generic/unistd.h")],
}


def test_both_architectures_number_the_same_calls() -> None:
    assert set(X86_64.numbers) == set(AARCH64.numbers)
    for abi in (X86_64, AARCH64):
        assert len(set(abi.numbers.values())) == len(abi.numbers)


@pytest.mark.parametrize("abi", [X86_64, AARCH64], ids=lambda abi: abi.machine)
def test_numbers_are_those_of_the_headers(abi: object) -> None:
    assert abi in (X86_64, AARCH64)
    table = X86_64 if abi is X86_64 else AARCH64
    header = next((each for each in HEADERS[table.machine] if each.exists()), None)
    if header is None:
        pytest.skip("no headers of the kernel on this system (linux-libc-dev)")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(encoding="ascii")))
    assert {name: int(found[name]) for name in table.numbers} == table.numbers


def test_other_machines_have_no_table() -> None:
    assert abi_of("x86_64") is X86_64
    assert abi_of("aarch64") is AARCH64
    assert abi_of("riscv64") is None
