"""An unmodified blocking client: Python's ``socket``, as synchronous drivers use it."""

from __future__ import annotations

import socket

from bench.contenders.clock import Clock
from bench.contenders.job import HOST, Contender, Job, Reading
from bench.contenders.runners import run_blocking

__all__ = ["CONTENDER", "dial"]


def _dials(job: Job, count: int) -> None:
    for _ in range(count):
        with socket.create_connection((HOST, job.port)) as client:
            assert client.recv(16) == b"!"
            assert client.recv(16) == b""


def dial(job: Job) -> Reading:
    """Time connect, one byte, close."""
    _dials(job, job.warm_up)
    clock = Clock()
    _dials(job, job.count)
    return clock.reading()


CONTENDER = Contender(run_blocking, {"dial": dial})
