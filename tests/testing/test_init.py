"""The door of ``longshore.testing``: its public names."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import longshore.testing as door


def test_every_public_class_and_function_is_documented() -> None:
    for name in door.__all__:
        item = getattr(door, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            assert inspect.getdoc(item), name


def test_the_public_names_are_these() -> None:
    assert sorted(door.__all__) == [
        "ByteWise",
        "Chunked",
        "Cut",
        "Delay",
        "Fault",
        "FaultMachine",
        "FaultProxy",
        "HalfClose",
        "MakePair",
        "MemoryDialer",
        "MemoryStream",
        "Reset",
        "RoutedDialer",
        "STREAM_CHECKS",
        "Script",
        "Stall",
        "StaticResolver",
        "StreamCheck",
        "StreamDriver",
        "StreamPeer",
        "Truncate",
        "check_stream",
        "memory_stream_pair",
        "run_check",
    ]


def test_a_worker_is_imported_when_it_is_asked_for_and_no_sooner() -> None:
    code = """
import sys
sys.modules["msgspec"] = sys.modules["httpx"] = None
import longshore.testing, longshore.testing.pytest_plugin
try:
    longshore.testing.run_worker
except ImportError as error:
    print(error.name)
del sys.modules["msgspec"], sys.modules["httpx"]
from longshore.testing import Worker, WorkerLog, WorkerResponse, run_worker
print(run_worker.__module__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["httpx", "longshore.testing.worker"]


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'walker'"):
        _ = door.walker
