"""A whole host inside the test's loop: it leaves neither tasks nor sockets, and says what happens in order."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psutil
import pytest

from longshore.aio.tasks import spawn
from longshore.config.model import SandboxSettings, TlsSettings
from longshore.proto.ipc.egress import DoorsFailed
from longshore.proto.ipc.messages import RequestFinished
from longshore.runtime.host import events as said
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.supervisor import Supervisor
from longshore.runtime.host.worker_link import WorkerLink
from longshore.sandbox.layers import Layers
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
        said.Enclosed,
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
        processes = host.supervisor._processes
        assert processes is not None
        both = [psutil.Process(pid) for pid in (processes.zygote_pid, processes.egress_pid) if pid is not None]
        family = [*both, *(child for parent in both for child in parent.children(recursive=True))]
        assert len(both) == 2
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


NOTHING = Layers(frozenset(), {"seccomp": "the kernel is too old"})
ENVIRONMENT = """
import os
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        inherited = open("/proc/self/environ", "rb").read().decode(errors="replace")
        return Response.json({"now": os.environ.get("TOKEN"), "was": "s3cret" in inherited})
"""


async def test_a_system_that_lacks_what_is_required_starts_nothing(tmp_path: Path) -> None:
    config = worker_config(tmp_path, WORKER, sandbox=SandboxSettings(isolation="required"))
    async with running(config, layers=NOTHING) as host:
        assert await host.ended == 78
    assert host.kinds() == [said.Listening, said.HostFailed, said.Stopped]
    (failed,) = [event for event in host.events if isinstance(event, said.HostFailed)]
    assert "this system lacks" in failed.message
    assert "seccomp (the kernel is too old)" in failed.message


async def test_a_new_configuration_that_requires_what_is_not_there_is_rejected(tmp_path: Path) -> None:
    config = worker_config(tmp_path, WORKER, sandbox=SandboxSettings())
    async with running(config, layers=NOTHING) as host:
        await host.until(said.WorkerReady)
        host.supervisor.reload(msgspec.structs.replace(config, sandbox=SandboxSettings(isolation="required")))
        assert host.kinds()[-1] is said.ConfigRejected
        host.supervisor.reload(msgspec.structs.replace(config, sandbox=SandboxSettings(isolation="off")))
        await host.until(said.Reloaded)
        assert [event.isolation for event in host.events if isinstance(event, said.Enclosed)] == ["auto", "off"]
        assert host.kinds().count(said.ReloadStarted) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_the_environment_of_the_host_is_no_workers_unless_isolation_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    config = worker_config(tmp_path, ENVIRONMENT, sandbox=SandboxSettings())
    granted = SandboxSettings(environment=("TOKEN",))
    async with running(config, layers=NOTHING) as host:
        await host.until(said.WorkerReady)
        for number, (sandbox, token) in enumerate(
            [(SandboxSettings(), None), (granted, "s3cret"), (SandboxSettings(isolation="off"), "s3cret")], 1
        ):
            host.supervisor.reload(msgspec.structs.replace(config, sandbox=sandbox))
            await host.until(said.Reloaded, number)
            await host.until(said.WorkerExited, number)
            async with httpx.AsyncClient(base_url=host.supervisor.urls[0]) as client:
                assert (await client.get("/")).json() == {"now": token, "was": False}


async def test_a_credential_that_is_missing_is_a_boot_failure(tmp_path: Path) -> None:
    config = worker_config(tmp_path, WORKER, tls=TlsSettings(ca=("office",)))
    async with running(config, credentials_dir=str(tmp_path / "store")) as host:
        assert await host.ended == 3
    (failure,) = [event for event in host.events if isinstance(event, said.BootFailure)]
    assert "office" in failure.report.message


async def test_a_store_key_that_is_none_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSHORE_STORE_KEY", "no key")
    async with running(worker_config(tmp_path, WORKER)) as host:
        assert await host.ended == 78
    assert host.kinds() == [said.Listening, said.HostFailed, said.Stopped]


async def test_a_worker_that_cannot_be_told_what_to_be_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(self: WorkerLink, message: object, fds: object = ()) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(WorkerLink, "send", send)
    async with running(worker_config(tmp_path, WORKER)) as host:
        assert await host.ended == 3
        assert host.supervisor._links == {}
    (failure,) = [event for event in host.events if isinstance(event, said.BootFailure)]
    assert failure.report.message == "no channel for worker 1: too many open files"


async def test_certificates_are_looked_at_when_it_begins(tmp_path: Path) -> None:
    config = msgspec.structs.replace(worker_config(tmp_path, WORKER), tls=TlsSettings(ca=("partner",)))
    async with running(config, credentials_dir=str(tmp_path / "store")) as host:
        assert await host.ended == 3
    (notice,) = [event for event in host.events if isinstance(event, said.CertificateNotice)]
    assert notice.key_path == "tls.ca[0]"


async def test_a_worker_that_cannot_be_served_is_replaced_with_the_reason(tmp_path: Path) -> None:
    async with running(worker_config(tmp_path, WORKER)) as host:
        await host.until(said.WorkerReady)
        host.supervisor._on_process(DoorsFailed(worker_id=1, error="too many open files"))
        await host.until(said.WorkerExited)
        exited = next(event for event in host.events if isinstance(event, said.WorkerExited))
        assert (exited.worker_id, exited.code) == (1, -9)
        await host.until(said.WorkerReady, 2)
        host.supervisor.stop()
        assert await host.ended == 0
