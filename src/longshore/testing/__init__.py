"""Tools for testing programs that use sockets, Longshore's own and those built on it.

- ``FaultProxy`` with the faults ``Cut``, ``Reset``, ``Stall``, ``Delay``, ``Truncate``, ``HalfClose``,
  ``ByteWise`` and ``Chunked``: breaks a real connection at an exact byte, plain or TLS.
- ``memory_stream_pair``, ``MemoryDialer``: connections without sockets; ``StreamDriver`` plays their far end.
- ``RoutedDialer``, ``StaticResolver``: real names, local servers.
- ``check_stream``: the contract of ``longshore.abc.ByteStream`` as a conformance kit.
- ``run_worker``, ``Worker``, ``WorkerResponse``, ``WorkerLog``: a worker inside a test. They need the extra
  ``longshore[workers]`` and are imported when they are asked for; pytest has the fixture ``worker``.

Nothing in Longshore imports this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from longshore.testing.worker import Worker as Worker
    from longshore.testing.worker import WorkerLog as WorkerLog
    from longshore.testing.worker import WorkerResponse as WorkerResponse
    from longshore.testing.worker import run_worker as run_worker

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

_OF_THE_EXTRA = frozenset({"Worker", "WorkerLog", "WorkerResponse", "run_worker"})


def __getattr__(name: str) -> Any:
    if name not in _OF_THE_EXTRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from longshore.testing import worker  # noqa: PLC0415 - the extra "workers"

    return getattr(worker, name)
