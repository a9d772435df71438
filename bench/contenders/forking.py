"""Workers forked from a warm zygote as the host forks them: in a jail, or with isolation off."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders.http_cold import first_byte_s, listening, reading
from bench.contenders.http_load import ROOT, server_core
from bench.contenders.job import HOST
from bench.contenders.memory import private_bytes
from bench.machine import pinned
from longshore.config.load import Overrides, load_config
from longshore.proto.ipc.egress import StartEgress
from longshore.proto.ipc.messages import Exited, Forked, ForkFailed
from longshore.runtime.host.enclosure import Enclosure
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.proc import first_child
from longshore.runtime.host.processes import HostProcesses
from longshore.runtime.host.start import start_message
from longshore.runtime.host.worker_link import WorkerLink
from longshore.sandbox.probe import probe_layers

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator, Sequence

    from bench.contenders.job import Job, Reading
    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.egress import Audited, DoorsFailed

__all__ = ["forked", "idle_worker", "project"]

_CONFIG = """\
name = "bench"
main = "entry.py"

[vars]
ECHO_PORT = {echo_port}
BENCH = "{repository}"

[network]
allow = ["local"]

[serve]
host = "{host}"
port = {port}
log_requests = false

[sandbox]
read = [{readable}]
"""


@contextmanager
def project(worker: str, port: int, echo_port: int, readable: Sequence[Path] = ()) -> Iterator[Path]:
    """Write a project with a worker of ``bench/workers``; the value is its configuration file."""
    repository = ROOT.parent
    with tempfile.TemporaryDirectory(prefix="bench-longshore-") as folder:
        directory = Path(folder)
        (directory / "entry.py").write_bytes((ROOT / "workers" / worker / "entry.py").read_bytes())
        file = directory / "longshore.toml"
        file.write_text(
            _CONFIG.format(
                host=HOST,
                port=port,
                echo_port=echo_port,
                repository=repository,
                readable=", ".join(f'"{each}"' for each in (ROOT, *readable)),
            ),
            encoding="utf-8",
        )
        yield file


class _Host:
    """What a host does for its workers, and no more."""

    def __init__(self, config: WorkerConfig, folder: Path) -> None:
        self._config = config
        self._enclosure = Enclosure(probe_layers, os.environ)
        self._enclosure.jail(config)  # what the system has is found out once
        self._number = 0
        self._links: list[WorkerLink] = []
        self._pids: list[int] = []
        self.processes = HostProcesses(
            self._on_event,
            lambda: None,
            lambda: None,
            lambda reason: None,
            egress_start=StartEgress(credentials_dir=str(folder)),
            environment=self._enclosure.zygote_environment(),
        )
        with pinned(server_core()):
            self.processes.start()

    def _on_event(self, event: Forked | ForkFailed | Exited | DoorsFailed | Audited) -> None:
        if isinstance(event, Forked):
            self._pids.append(event.pid)

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes of the newest worker: that of the worker, and the first of its jail if it has one."""
        newest = self._pids[-1]
        worker = first_child(newest)
        return (newest,) if worker is None else (newest, worker)

    def launch(self, listener: socket.socket) -> None:
        """Start a worker on a socket."""
        self._number += 1
        jail = self._enclosure.jail(self._config)
        environment = None if jail is not None else self._enclosure.worker_environment(self._config)
        message = start_message(
            self._config, self._number, HostOptions(log_requests=False), (), jail=jail, environment=environment
        )
        control = self.processes.launch(self._number, self._config, (), jail)
        link = WorkerLink(self._number, 1, control, lambda _link, _message, _fds: None, WorkerLink.close)
        link.send(message, [listener.fileno()])
        self._links.append(link)

    async def end_worker(self) -> None:
        """Kill the newest worker and wait for its end."""
        self.processes.kill(self._number, signal.SIGKILL)
        await self._links[-1].ended()
        self.processes.forget(self._number)


@asynccontextmanager
async def _host(config: WorkerConfig) -> AsyncIterator[_Host]:
    with tempfile.TemporaryDirectory(prefix="bench-store-") as folder:
        host = _Host(config, Path(folder))
        try:
            yield host
        finally:
            await host.processes.close()


async def _start(host: _Host) -> float:
    loop = asyncio.get_running_loop()
    with listening() as listener:
        # The loop stays free to send what launch() queued, while a thread waits for the first byte.
        def start_soon() -> None:
            loop.call_soon_threadsafe(host.launch, listener)

        return await asyncio.to_thread(first_byte_s, listener, start_soon)


def _loaded(file: Path, isolation: str) -> WorkerConfig:
    return load_config(file, cwd=file.parent, is_dev=False, variables={}, overrides=Overrides(isolation=isolation))


async def _starts(config: WorkerConfig, count: int) -> list[float]:
    times = []
    async with _host(config) as host:
        for number in range(count + 1):
            seconds = await _start(host)
            await host.end_worker()
            if number:  # before the first one the zygote and the egress process have to be ready
                times.append(seconds)
    return times


def forked(job: Job, isolation: str) -> Reading:
    """Fork workers that serve hello, one after the other, and time each up to its first byte."""
    with project("hello", 0, job.port) as file:
        return reading(asyncio.run(_starts(_loaded(file, isolation), job.count)))


async def _weighed(config: WorkerConfig) -> int:
    async with _host(config) as host:
        await _start(host)
        return sum(map(private_bytes, host.pids))


def idle_worker(job: Job, isolation: str) -> Reading:
    """Weigh a worker that has answered one request: the memory that no other process shares, of all its processes."""
    with project("hello", 0, job.port) as file:
        return {"bytes": asyncio.run(_weighed(_loaded(file, isolation)))}
