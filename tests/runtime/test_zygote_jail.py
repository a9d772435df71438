"""The zygote with workers in jails: what it says about them, and that nothing of them outlives it."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from longshore.net.channel import SyncChannel
from longshore.proto.ipc.messages import BootFailed, Exited, Forked
from tests.runtime.host.zygotes import running_zygote
from tests.runtime.test_zygote import gone, told
from tests.sandbox.jails import jail_plan, needs_layers

if TYPE_CHECKING:
    from longshore.proto.ipc.jail import JailPlan
    from tests.runtime.host.zygotes import Zygote


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    needs_layers("user", "mount", "network", "pid")


async def jailed(zygote: Zygote, worker_id: int, plan: JailPlan) -> tuple[socket.socket, int]:
    mine, its = socket.socketpair()
    with mine, its:
        control = zygote.process.fork(worker_id, its, plan)
        event = await zygote.events.get()
    assert isinstance(event, Forked)
    return control, event.pid


@pytest.mark.parametrize(
    ("end", "code"), [("return 0", 0), ("return 3", 3), ("os.kill(os.getpid(), 9)", -9), ("os.abort()", -6)]
)
async def test_the_end_of_a_worker_arrives_as_without_a_jail(end: str, code: int) -> None:
    async with running_zygote(end) as zygote:
        control, pid = await jailed(zygote, 7, jail_plan())
        control.close()
        assert await zygote.events.get() == Exited(worker_id=7, pid=pid, code=code)


async def test_a_kill_reaches_everybody_inside() -> None:
    worker = """
if os.fork() == 0:
    os.setsid()
    signal.pause()
tell(control, os.getpid())
signal.pause()
"""
    async with running_zygote(worker) as zygote:
        control, pid = await jailed(zygote, 1, jail_plan())
        with control:
            assert await told(control) == (2,)
            inside = children(pid)
            assert len(inside) == 1
            inside += children(inside[0])
            assert len(inside) == 2
            zygote.process.kill(1, signal.SIGKILL)
            assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=-signal.SIGKILL)
            for each in inside:
                await gone(each)


async def test_a_zygote_that_is_killed_takes_its_jails_along() -> None:
    worker = """
if os.fork() == 0:
    os.setsid()
    signal.pause()
tell(control, 0)
signal.pause()
"""
    async with running_zygote(worker) as zygote:
        control, pid = await jailed(zygote, 1, jail_plan())
        with control:
            await told(control)
            inside = [pid, *children(pid), *(each for child in children(pid) for each in children(child))]
            assert len(inside) == 3
            os.kill(zygote.process.pid, signal.SIGKILL)
            assert await zygote.events.get() is None
            for each in inside:
                await gone(each)


async def test_an_egress_process_that_is_gone_is_no_failure_of_the_worker() -> None:
    async with running_zygote("return 5") as zygote:
        control, pid = await jailed(zygote, 1, jail_plan())  # closes the other end
        control.close()
        assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=5)


async def test_workers_with_and_without_a_jail_live_side_by_side() -> None:
    async with running_zygote("tell(control, os.getpid())\ncontrol.recv(1)\nreturn 0") as zygote:
        shut_in, first = await jailed(zygote, 1, jail_plan())
        free = zygote.process.fork(2)
        second = await zygote.events.get()
        assert isinstance(second, Forked)
        with shut_in, free:
            assert await told(shut_in) == (2,)
            assert await told(free) == (second.pid,)
        ended = [await zygote.events.get(), await zygote.events.get()]
        assert Exited(worker_id=1, pid=first, code=0) in ended
        assert Exited(worker_id=2, pid=second.pid, code=0) in ended


async def test_a_jail_that_cannot_be_put_up_is_a_failure_to_boot() -> None:
    async with running_zygote("return 0") as zygote:
        control, pid = await jailed(zygote, 1, jail_plan(hostname="x" * 65))
        assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=71)
        channel = SyncChannel(control)
        received = channel.receive()
        channel.close()
        assert received is not None
        assert isinstance(received[0], BootFailed)


def children(pid: int) -> list[int]:
    """Return the children of a process, as we see them."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(each) for each in file.read().split()]
