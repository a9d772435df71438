"""A host in a process of its own, as a test sees it: its events, its URL, its processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from longshore.aio.tasks import spawn
from longshore.config.model import NetworkRules, SandboxSettings, WorkerConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = [
    "EGRESS",
    "ISOLATION",
    "RUN_HOST",
    "ZYGOTE",
    "Host",
    "gone",
    "is_alive",
    "running_host",
    "started_host",
    "worker_config",
]

ISOLATION = "auto"
"""What the configurations of these tests say."""

ZYGOTE = "longshore.runtime.zygote"
EGRESS = "longshore.egress"

RUN_HOST = Path(__file__).with_name("run_host.py")

Event = dict[str, Any]


def worker_config(folder: Path, source: str, **fields: Any) -> WorkerConfig:
    """Write ``source`` as the main module and return the configuration of a worker that may connect to loopback."""
    main = folder / "entry.py"
    main.write_text(dedent(source))
    return WorkerConfig(
        **{
            "name": "test",
            "main": str(main),
            "module_root": str(folder),
            "project_dir": str(folder),
            "network": NetworkRules(allow=("public", "private", "local")),
            "sandbox": SandboxSettings(isolation=ISOLATION),
            **fields,
        }
    )


class Host:
    """A running host.

    Args:
        process: what runs ``run_host.py``.
    """

    def __init__(self, process: subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid
        self.events: list[Event] = []
        """Everything it said so far."""
        self._news = asyncio.Condition()
        self._reading = spawn(self._read(), name="events of the host")
        self._cursor = 0

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "output", "text": line.decode()}
            async with self._news:
                self.events.append(event)
                self._news.notify_all()
        async with self._news:
            self.events.append({"event": "end of output"})
            self._news.notify_all()

    def of(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds so far."""
        return [event for event in self.events if event["event"] in kinds]

    async def next(self, kind: str, **fields: Any) -> Event:
        """Wait for the next event of a kind with these fields; the search goes on behind the last one found."""
        async with self._news:
            while True:
                while self._cursor < len(self.events):
                    event = self.events[self._cursor]
                    self._cursor += 1
                    if event["event"] == kind and fields.items() <= event.items():
                        return event
                    assert event["event"] != "end of output", f"the host ended, no {kind} {fields} in {self.events}"
                await self._news.wait()

    async def next_any(self) -> None:
        """Wait until it says something more."""
        count = len(self.events)
        async with self._news:
            await self._news.wait_for(lambda: len(self.events) > count)
        assert self.events[-1]["event"] != "end of output", f"the host ended: {self.events}"

    async def message(self, kind: str, **fields: Any) -> Event:
        """Wait for the next message of a worker, by the name of its class."""
        while True:
            event = await self.next("FromWorker")
            message: Event = event["message"]
            if message["type"] == kind and fields.items() <= message.items():
                return message

    @property
    def url(self) -> str:
        """Where it listens."""
        url: str = self.of("Listening")[0]["urls"][0]
        return url

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    def signal(self, number: int) -> None:
        """Send a signal to the host process alone."""
        self.process.send_signal(number)

    async def command(self, line: str) -> None:
        """Make it do something: ``reload`` or ``fire CRON``."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    def family(self) -> list[psutil.Process]:
        """Return every process below the host."""
        return psutil.Process(self.pid).children(recursive=True)

    def relative(self, module: str) -> psutil.Process:
        """Return the child of the host that runs a module of ours: the zygote, or the egress process."""
        (found,) = [child for child in psutil.Process(self.pid).children() if module in child.cmdline()]
        return found

    def worker_family(self) -> int:
        """Return how many processes a worker that starts none consists of."""
        return 1 if ISOLATION == "off" else 2  # the other one is the init of its jail

    async def ended(self) -> int:
        """Wait until the host has ended and return its exit code."""
        await self._reading
        return await self.process.wait()

    async def errors(self) -> str:
        """Wait until nobody holds stderr any more, and return what was written there."""
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that ended and that its new parent has not reaped does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def gone(processes: list[psutil.Process]) -> None:
    """Wait until processes that are being ended have ended; the test's time limit bounds it."""
    while any(is_alive(process) for process in processes):
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running_host(config: WorkerConfig, **options: Any) -> AsyncIterator[Host]:
    """Start a host and give it when its workers are ready (or could not boot); kill it at the end."""
    async with started_host(config, **options) as host:
        while len(host.of("WorkerReady")) < options.get("workers", 1) and not host.of("BootFailure", "HostFailed"):
            await host.next_any()
        yield host


@asynccontextmanager
async def started_host(config: WorkerConfig, *, start_new_session: bool = False, **options: Any) -> AsyncIterator[Host]:
    """Start a host; kill it at the end, with whatever is left of its family."""
    arguments = [json.dumps({"port": 0, "drain_timeout_s": 20.0, **options}), msgspec.json.encode(config).decode()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        RUN_HOST,
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=2**24,
        start_new_session=start_new_session,
    )
    host = Host(process)
    family: list[psutil.Process] = []
    try:
        yield host
    finally:
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            family = host.family()
            process.kill()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        await host.ended()
        await host.errors()  # or its pipe is still open when the loop ends
        assert process.stdin is not None
        process.stdin.close()
