"""A whole host inside the test's loop: it leaves neither tasks nor sockets, and says what happens in order."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from longshore.aio.tasks import spawn
from longshore.proto.ipc.messages import RequestFinished
from longshore.runtime.host import events as said
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.supervisor import Supervisor
from tests.e2e.host import worker_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from longshore.config.model import WorkerConfig

WORKER = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


class Running:
    """A host and what it said."""

    def __init__(self, config: WorkerConfig, **options: Any) -> None:
        self.events: list[said.HostEvent] = []
        options = {"port": 0, "handle_signals": False, **options}
        self.supervisor = Supervisor(config, HostOptions(**options), self._take)
        self.ended = spawn(self.supervisor.run(), name="host")

    def _take(self, event: said.HostEvent) -> None:
        self.events.append(event)

    def kinds(self) -> list[type]:
        """Return the classes of the events so far."""
        return [type(event) for event in self.events]

    async def until(self, kind: type, count: int = 1) -> None:
        """Wait until so many events of a class have come; the test's time limit bounds it."""
        while self.kinds().count(kind) < count:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(config: WorkerConfig, **options: Any) -> AsyncIterator[Running]:
    host = Running(config, **options)
    try:
        yield host
    finally:
        host.ended.cancel()
        await asyncio.wait([host.ended])


async def test_a_life(tmp_path: Path) -> None:
    async with running(worker_config(tmp_path, WORKER), watch=True, is_dev=True) as host:
        await host.until(said.WorkerReady)
        async with httpx.AsyncClient(base_url=host.supervisor.urls[0]) as client:
            assert (await client.get("/a?b")).text == "hello"
            host.supervisor.reload(paths=["/x/entry.py"])
            await host.until(said.Reloaded)
            assert (await client.get("/")).text == "hello"
        await host.until(said.WorkerExited)
        host.supervisor.stop()
        assert await host.ended == 0
    assert [kind for kind in host.kinds() if kind is not said.FromWorker] == [
        said.Listening,
        said.WorkerStarting,
        said.WorkerReady,
        said.Serving,
        said.ReloadStarted,
        said.WorkerStarting,
        said.WorkerReady,
        said.Reloaded,
        said.WorkerExited,
        said.Draining,
        said.WorkerExited,
        said.Stopped,
    ]
    assert said.ReloadStarted(("/x/entry.py",)) in host.events
    requests = [
        event.message
        for event in host.events
        if isinstance(event, said.FromWorker) and isinstance(event.message, RequestFinished)
    ]
    assert [(request.method, request.path, request.status) for request in requests] == [
        ("GET", "/a?b", 200),
        ("GET", "/", 200),
    ]


@pytest.mark.parametrize("kind", [said.Listening, said.WorkerStarting, said.WorkerReady])
async def test_cancellation_ends_every_process(tmp_path: Path, kind: type) -> None:
    async with running(worker_config(tmp_path, WORKER), workers=2) as host:
        await host.until(kind)
        zygote = host.supervisor._zygote
        assert zygote is not None
        family = [psutil.Process(zygote.pid), *psutil.Process(zygote.pid).children()]
        host.ended.cancel()
        with pytest.raises(asyncio.CancelledError):
            await host.ended
        assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)


async def test_stop_right_after_the_start(tmp_path: Path) -> None:
    async with running(worker_config(tmp_path, WORKER)) as host:
        await host.until(said.Listening)
        host.supervisor.stop()
        assert await host.ended == 0
        host.supervisor.stop()
        host.supervisor.reload()


async def test_a_cron_that_nobody_can_run_is_told(tmp_path: Path) -> None:
    async with running(worker_config(tmp_path, WORKER)) as host:
        await host.until(said.Listening)
        host.supervisor.fire_scheduled("* * * * *")
        assert said.CronDue("* * * * *", None) in host.events


async def test_a_worker_that_talks_nonsense_is_replaced(tmp_path: Path) -> None:
    source = f"""
    import os, stat
    {WORKER.replace(chr(10), chr(10) + "    ")}
    class Default(Default):
        async def fetch(self, request):
            for fd in range(3, 64):
                try:
                    os.write(fd, b"\\xff" * 16) if stat.S_ISSOCK(os.fstat(fd).st_mode) else None
                except OSError:
                    pass
            return Response("hello")
    """
    async with running(worker_config(tmp_path, source)) as host:
        await host.until(said.WorkerReady)
        async with httpx.AsyncClient(base_url=host.supervisor.urls[0]) as client:
            with pytest.raises(httpx.TransportError):
                await client.get("/")
        await host.until(said.WorkerReady, 2)
        assert said.WorkerExited(1, -signal.SIGKILL, was_expected=False) in host.events
