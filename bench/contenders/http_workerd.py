"""workerd, from the npm package of that name, running the equivalent JavaScript."""

from __future__ import annotations

import platform
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders.http_cold import reading, spawned_first_byte_s
from bench.contenders.http_load import ROOT, free_port, run_load
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contenders.job import Job, Reading

__all__ = ["CONTENDER", "PROGRAM", "configured"]

_KIND = "linux-arm64" if platform.machine() == "aarch64" else "linux-64"
PROGRAM = ROOT / "node" / "node_modules" / "@cloudflare" / f"workerd-{_KIND}" / "bin" / "workerd"
"""Where ``./dev bench`` puts it."""

_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = (
        modules = [ ( name = "worker", esModule = embed "worker.js" ) ],
        bindings = [ ( name = "ECHO_PORT", text = "%(echo_port)d" ) ],
        compatibilityDate = "2026-08-01" ) ),
    ( name = "internet", network = ( allow = ["private"] ) ),
  ],
  sockets = [ ( name = "http", address = "%(host)s:%(port)d", http = (), service = "main" ) ]
);
"""


@contextmanager
def configured(script: str, port: int, echo_port: int) -> Iterator[list[str]]:
    """Write the configuration for a script of ``node/``; the value is the command."""
    with tempfile.TemporaryDirectory(prefix="bench-workerd-") as folder:
        directory = Path(folder)
        (directory / "worker.js").write_bytes((ROOT / "node" / script).read_bytes())
        text = _CONFIG % {"host": HOST, "port": port, "echo_port": echo_port}
        (directory / "config.capnp").write_text(text, encoding="utf-8")
        yield [str(PROGRAM), "serve", str(directory / "config.capnp"), "config"]


def _run(script: str, job: Job) -> Reading:
    port = free_port()
    with configured(script, port, job.port) as command:
        return run_load(command, port, job.count)


def http(job: Job) -> Reading:
    """Say hello."""
    return _run("worker_hello.js", job)


def http_socket(job: Job) -> Reading:
    """Open a socket per request."""
    return _run("worker_socket.js", job)


def cold(job: Job) -> Reading:
    """Start a process that serves hello."""
    with configured("worker_hello.js", 0, job.port) as command:
        starts = (spawned_first_byte_s(lambda fd: [*command, f"--socket-fd=http={fd}"]) for _ in range(job.count))
        return reading(list(starts))


CONTENDER = Contender(run_blocking, {"http": http, "http_socket": http_socket, "cold": cold})
