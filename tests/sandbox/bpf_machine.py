"""Runs classic BPF on a synthetic ``struct seccomp_data``, as the kernel would: for filters of other architectures."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from longshore.sandbox.bpf import AND, JEQ, JGE, JSET, LD_W_ABS, RET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.sandbox.bpf import Instruction

MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS


def seccomp_data(number: int, arch: int, args: Sequence[int]) -> bytes:
    padded = [each & 0xFFFF_FFFF_FFFF_FFFF for each in (*args, *(0,) * (6 - len(args)))]
    return struct.pack("=IIQ6Q", number & 0xFFFF_FFFF, arch, 0x7F00_0000_1234, *padded)


def run(program: Sequence[Instruction], data: bytes) -> int:
    """Return what the filter returns; raises when the kernel would refuse the program."""
    assert 0 < len(program) <= MAX_INSTRUCTIONS
    accumulator = at = 0
    while True:
        each = program[at]
        at += 1
        if each.code == RET:
            return each.k
        if each.code == LD_W_ABS:
            assert each.k % 4 == 0
            (accumulator,) = struct.unpack_from("=I", data, each.k)
        elif each.code == AND:
            accumulator &= each.k
        else:
            holds = {JEQ: accumulator == each.k, JGE: accumulator >= each.k, JSET: bool(accumulator & each.k)}[
                each.code
            ]
            assert 0 <= each.jump_true <= 255
            assert 0 <= each.jump_false <= 255
            at += each.jump_true if holds else each.jump_false


def check(program: Sequence[Instruction]) -> None:
    """Check what ``bpf_check_classic`` checks: known codes, every jump ends inside, the last one returns."""
    for at, each in enumerate(program):
        assert each.code in {LD_W_ABS, JEQ, JGE, JSET, AND, RET}
        assert 0 <= each.k <= 0xFFFF_FFFF
        if each.code in {JEQ, JGE, JSET}:
            assert at + 1 + max(each.jump_true, each.jump_false) < len(program)
        elif each.code != RET:
            assert at + 1 < len(program)
    assert program[-1].code == RET
