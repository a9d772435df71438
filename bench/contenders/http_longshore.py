"""``longshore serve`` with one worker process, as a user starts it; requests are not logged, as with the others."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders.http_load import ROOT, free_port, run_load
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contenders.job import Job, Reading

__all__ = ["CONTENDER", "project"]

_CONFIG = """\
name = "bench"
main = "entry.py"

[vars]
ECHO_PORT = {echo_port}

[network]
allow = ["local"]

[serve]
host = "{host}"
port = {port}
log_requests = false
"""


@contextmanager
def project(worker: str, port: int, echo_port: int) -> Iterator[Path]:
    """Write a project with a worker of ``bench/workers``; the value is its configuration file."""
    with tempfile.TemporaryDirectory(prefix="bench-longshore-") as folder:
        directory = Path(folder)
        (directory / "entry.py").write_bytes((ROOT / "workers" / worker / "entry.py").read_bytes())
        file = directory / "longshore.toml"
        file.write_text(_CONFIG.format(host=HOST, port=port, echo_port=echo_port), encoding="utf-8")
        yield file


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


CONTENDER = Contender(run_blocking, {"http": http, "http_socket": http_socket})
