"""Tools for testing programs that use sockets, Longshore's own and those built on it.

- ``FaultProxy`` with the faults ``Cut``, ``Reset``, ``Stall``, ``Delay``, ``Truncate``, ``HalfClose``,
  ``ByteWise`` and ``Chunked``: breaks a real connection at an exact byte, plain or TLS.
- ``memory_stream_pair``, ``MemoryDialer``: connections without sockets; ``StreamDriver`` plays their far end.
- ``RoutedDialer``, ``StaticResolver``: real names, local servers.
- ``check_stream``: the contract of ``longshore.abc.ByteStream`` as a conformance kit.

Nothing in Longshore imports this package.
"""

from __future__ import annotations

from longshore.testing.conformance import STREAM_CHECKS, MakePair, StreamCheck, check_stream, run_check
from longshore.testing.dialers import MemoryDialer, RoutedDialer
from longshore.testing.driver import StreamDriver, StreamPeer
from longshore.testing.faults import (
    ByteWise,
    Chunked,
    Cut,
    Delay,
    Fault,
    FaultMachine,
    HalfClose,
    Reset,
    Stall,
    Truncate,
)
from longshore.testing.memory import MemoryStream, memory_stream_pair
from longshore.testing.proxy import FaultProxy, Script
from longshore.testing.resolver import StaticResolver

__all__ = [
    "STREAM_CHECKS",
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
