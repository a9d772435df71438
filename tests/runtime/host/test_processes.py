"""The zygote and the egress process together: what becomes of one when the other dies."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore.config.model import WorkerConfig
from longshore.proto.ipc.egress import StartEgress
from longshore.proto.ipc.messages import Exited, Forked
from longshore.runtime.host.processes import HostProcesses
from tests.runtime.host.zygotes import zygote_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONFIG = WorkerConfig(name="w", main="/p/entry.py", module_root="/p", project_dir="/p")
WAITS = zygote_command("control.recv(1)\nreturn 0")
ENDS_AT_ONCE = [sys.executable, "-c", "raise SystemExit(1)"]
EGRESS = [
    sys.executable,
    "-c",
    """
import os, socket, sys
from longshore.net.channel import SyncChannel
from longshore.proto.ipc.egress import EgressReady
host, kept = SyncChannel(socket.socket(fileno=int(sys.argv[1]))), []
host.receive()
host.send(EgressReady(pid=os.getpid()))
while (received := host.receive()) is not None:
    kept += received[1]
""",
]


class Running:
    """Both processes and what happened, in words."""

    def __init__(self, **commands: Any) -> None:
        self.happened: asyncio.Queue[Any] = asyncio.Queue()
        put = self.happened.put_nowait
        self.processes = HostProcesses(
            put,
            lambda: put("zygote lost"),
            lambda: put("egress lost"),
            put,
            egress_start=StartEgress(credentials_dir="/no/such/folder"),
            **{"zygote_command": WAITS, "egress_command": EGRESS, **commands},
        )

    async def ready(self) -> None:
        """Wait until both have said so."""
        while not (self.processes._is_egress_ready and self.processes._is_zygote_ready):
            await asyncio.sleep(0.005)

    async def forked(self, worker_id: int) -> int:
        """Launch a worker and return its process id."""
        self.processes.launch(worker_id, CONFIG, (), None).close()
        event = await self.happened.get()
        assert isinstance(event, Forked)
        assert event.worker_id == worker_id
        return event.pid


@asynccontextmanager
async def running(**commands: Any) -> AsyncIterator[Running]:
    both = Running(**commands)
    try:
        assert both.processes.start()
        yield both
    finally:
        await both.processes.close()
    assert (both.processes.zygote_pid, both.processes.egress_pid) == (None, None)


async def test_a_worker_is_launched_and_told_of_its_end() -> None:
    async with running() as both:
        pid = await both.forked(1)
        ended = await both.happened.get()
        assert isinstance(ended, Exited)
        assert (ended.worker_id, ended.pid) == (1, pid)
        both.processes.forget(1)


async def test_a_lost_egress_process_is_replaced_and_the_workers_are_not_touched() -> None:
    async with running() as both:
        await both.ready()
        first = both.processes.egress_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert await both.happened.get() == "egress lost"
        await both.ready()
        assert both.processes.egress_pid not in {None, first}
        await both.forked(1)


async def test_a_lost_zygote_is_replaced_and_the_egress_process_is_not_touched() -> None:
    async with running() as both:
        await both.ready()
        zygote, egress = both.processes.zygote_pid, both.processes.egress_pid
        assert zygote is not None
        os.kill(zygote, signal.SIGKILL)
        assert await both.happened.get() == "zygote lost"
        assert both.processes.zygote_pid not in {None, zygote}
        assert both.processes.egress_pid == egress
        await both.forked(1)


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("zygote_command", "the process that workers are forked from ended while it started; see above"),
        ("egress_command", "the process that connections are made by ended while it started; see above"),
    ],
)
async def test_one_that_cannot_start_is_a_failure_told_once(which: str, reason: str) -> None:
    async with running(**{which: ENDS_AT_ONCE}) as both:
        assert await both.happened.get() == reason
        if which == "egress_command":
            zygote = both.processes.zygote_pid
            assert zygote is not None
            while not both.processes._is_zygote_ready:
                await asyncio.sleep(0.005)
            os.kill(zygote, signal.SIGKILL)
            while both.processes.zygote_pid is not None:
                await asyncio.sleep(0.005)
        assert both.happened.empty()


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("zygote_command", "cannot start the process that workers are forked from: No such file or directory"),
        ("egress_command", "cannot start the process that connections are made by: No such file or directory"),
    ],
)
async def test_a_program_that_is_not_there_is_a_failure(which: str, reason: str) -> None:
    both = Running(**{which: ["/no/such/program"]})
    assert not both.processes.start()
    assert both.happened.get_nowait() == reason
    await both.processes.close()


async def test_closing_what_never_started_does_nothing() -> None:
    both = Running()
    both.processes.kill(1, signal.SIGKILL)
    both.processes.forget(1)
    await both.processes.close()


async def test_a_worker_that_cannot_be_forked_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as both:
        await both.ready()
        forgotten: list[int] = []
        zygote = both.processes._zygote
        assert zygote is not None

        def fork(*_: object) -> None:
            raise OSError(errno.EMFILE, "too many open files")

        with monkeypatch.context() as patched:
            patched.setattr(zygote, "fork", fork)
            patched.setattr(both.processes, "forget", forgotten.append)
            with pytest.raises(OSError, match="too many"):
                both.processes.launch(7, CONFIG, (), None)
        assert forgotten == [7]
