"""The door of ``longshore.testing``: its public names."""

from __future__ import annotations

import longshore.testing as door


def test_every_public_name_exists_once_and_is_documented() -> None:
    assert len(set(door.__all__)) == len(door.__all__)
    for name in door.__all__:
        assert getattr(door, name).__doc__, name


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
