"""Bare uvicorn: the same ASGI answers without Longshore, on uvloop and httptools."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.contenders.http_cold import reading, spawned_first_byte_s
from bench.contenders.http_load import free_port, run_load
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking

if TYPE_CHECKING:
    from bench.contenders.job import Job, Reading

__all__ = ["CONTENDER", "command"]


def command(application: str, *options: str) -> list[str]:
    """Return the command that serves an application of ``bench.workers.bare``."""
    fixed = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", f"bench.workers.bare:{application}", *fixed, *options]


def _run(application: str, job: Job) -> Reading:
    port = free_port()
    options = ("--host", HOST, "--port", str(port), "--backlog", "2048")
    return run_load(command(application, *options), port, job.count, {"ECHO_PORT": str(job.port)})


def http(job: Job) -> Reading:
    """Say hello."""
    return _run("hello", job)


def http_socket(job: Job) -> Reading:
    """Open a connection per request."""
    return _run("socket", job)


def cold(job: Job) -> Reading:
    """Start an interpreter that serves hello."""
    starts = (spawned_first_byte_s(lambda fd: command("hello", "--fd", str(fd))) for _ in range(job.count))
    return reading(list(starts))


CONTENDER = Contender(run_blocking, {"http": http, "http_socket": http_socket, "cold": cold})
