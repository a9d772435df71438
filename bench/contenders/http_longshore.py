"""``longshore serve`` with one worker process, as a user starts it; requests are not logged, as with the others."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders.http_cold import first_byte_s, listening, reading
from bench.contenders.http_load import ROOT, free_port, run_load, server_core
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking
from bench.machine import pinned
from longshore.config.load import load_config
from longshore.proto.ipc.messages import ZygoteReady
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.start import start_message
from longshore.runtime.host.worker_link import WorkerLink
from longshore.runtime.host.zygote_process import ZygoteProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contenders.job import Job, Reading
    from longshore.config.model import WorkerConfig

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


async def _forked(config: WorkerConfig, count: int) -> list[float]:
    """Fork workers from a warm zygote, one after the other, as the host does for a reload."""
    is_warm = asyncio.Event()
    with pinned(server_core()):
        zygote = ZygoteProcess(lambda event: is_warm.set() if isinstance(event, ZygoteReady) else None, is_warm.set)
    await is_warm.wait()
    try:
        return [await _fork(zygote, config, number) for number in range(1, count + 1)]
    finally:
        await zygote.close()


async def _fork(zygote: ZygoteProcess, config: WorkerConfig, number: int) -> float:
    loop = asyncio.get_running_loop()
    links: list[WorkerLink] = []
    message = start_message(config, number, HostOptions(log_requests=False), ())
    with listening() as listener:

        def start() -> None:
            link = WorkerLink(number, 1, zygote.fork(number), lambda _link, _message, _fds: None, WorkerLink.close)
            link.send(message, [listener.fileno()])
            links.append(link)

        # The loop stays free to send what start() queued, while a thread waits for the first byte.
        def start_soon() -> None:
            loop.call_soon_threadsafe(start)

        seconds = await asyncio.to_thread(first_byte_s, listener, start_soon)
    zygote.kill(number, signal.SIGKILL)
    await links[0].ended()
    return seconds


def cold(job: Job) -> Reading:
    """Fork a worker that serves hello."""
    with project("hello", 0, job.port) as file:
        config = load_config(file, cwd=file.parent, is_dev=False, variables={})
        return reading(asyncio.run(_forked(config, job.count)))


CONTENDER = Contender(run_blocking, {"http": http, "http_socket": http_socket, "cold": cold})
