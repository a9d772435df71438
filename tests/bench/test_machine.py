"""Pinning, and facts that give nothing away."""

from __future__ import annotations

import json
import mmap
import os
import platform
from pathlib import Path

import pytest

from bench.contenders.memory import private_bytes
from bench.machine import cores, facts, pinned

pinning = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin processes")


def test_facts_hold_no_path_and_no_host_name() -> None:
    text = json.dumps(facts())
    assert str(Path.cwd()) not in text
    assert f'"{platform.node()}"' not in text
    assert platform.python_version() in text


@pinning
def test_pinned_block_restores_the_affinity() -> None:
    before = os.sched_getaffinity(0)
    with pinned(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


@pinning
def test_client_and_server_get_different_cores() -> None:
    pair = cores()
    assert pair is None or pair[0] != pair[1]


def test_no_core_pins_nothing() -> None:
    with pinned(None):
        pass


def test_memory_that_a_fork_shares_with_nobody_is_its_own() -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("memory is measured on Linux only")
    before = private_bytes(os.getpid())
    # A mapping of its own: what malloc gives may be memory that this process had already.
    with mmap.mmap(-1, 8 << 20) as kept:
        kept.write(b"x" * len(kept))
        assert private_bytes(os.getpid()) - before >= len(kept) * 9 // 10
