"""``longshore serve`` with one worker process, as a user starts it; requests are not logged, as with the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.contenders.forking import forked, project
from bench.contenders.http_load import free_port, run_load
from bench.contenders.job import Contender
from bench.contenders.runners import run_blocking

if TYPE_CHECKING:
    from bench.contenders.job import Job, Reading

__all__ = ["CONTENDER"]


def _run(worker: str, job: Job) -> Reading:
    port = free_port()
    with project(worker, port, job.port) as file:
        command = [sys.executable, "-m", "longshore", "serve", "--config", str(file)]
        return run_load(command, port, job.count)


def http(job: Job) -> Reading:
    """Say hello."""
    return _run("hello", job)


def http_socket(job: Job) -> Reading:
    """Open a socket per request."""
    return _run("socket", job)


def cold(job: Job) -> Reading:
    """Fork a worker that serves hello."""
    return forked(job, isolation="auto")


CONTENDER = Contender(run_blocking, {"http": http, "http_socket": http_socket, "cold": cold})
