"""The door of ``longshore.testing``: its public names."""

from __future__ import annotations

import inspect

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
