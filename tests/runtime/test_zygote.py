"""The zygote, through the host's end of it: what it says about workers, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
from ast import literal_eval
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from longshore.proto.ipc.messages import Exited, Forked
from tests.runtime.host.zygotes import running_zygote

if TYPE_CHECKING:
    import socket

    from tests.runtime.host.zygotes import Zygote


async def told(control: socket.socket) -> Any:
    """Return the next line a worker wrote."""
    control.setblocking(False)
    line = b""
    while not line.endswith(b"\n"):
        data = await asyncio.get_running_loop().sock_recv(control, 1)
        assert data, "the worker ended"
        line += data
    return literal_eval(line.decode())


async def forked(zygote: Zygote, worker_id: int) -> tuple[socket.socket, int]:
    control = zygote.process.fork(worker_id)
    event = await zygote.events.get()
    assert isinstance(event, Forked)
    assert event.worker_id == worker_id
    return control, event.pid


def is_alive(pid: int) -> bool:
    """Return whether a process still runs; one that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def gone(pid: int) -> None:
    """Wait until a process that is being killed has ended."""
    while is_alive(pid):
        await asyncio.sleep(0.005)


WAITS = "tell(control, os.getpid())\ncontrol.recv(1)\nreturn 0"


@pytest.mark.parametrize("code", [0, 3, 255])
async def test_exit_codes_arrive(code: int) -> None:
    async with running_zygote(f"return {code}") as zygote:
        control, pid = await forked(zygote, 7)
        control.close()
        assert await zygote.events.get() == Exited(worker_id=7, pid=pid, code=code)


async def test_the_signal_that_ended_a_worker_arrives_as_a_negative_code() -> None:
    async with running_zygote(WAITS) as zygote:
        control, pid = await forked(zygote, 1)
        with control:
            await told(control)
            zygote.process.kill(1, signal.SIGKILL)
            assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=-signal.SIGKILL)


async def test_an_exception_in_a_worker_is_exit_code_70() -> None:
    async with running_zygote("os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\nraise RuntimeError") as zygote:
        control, pid = await forked(zygote, 1)
        control.close()
        assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=70)


async def test_a_kill_of_a_worker_that_has_ended_reaches_nobody() -> None:
    async with running_zygote("return 0") as zygote:
        control, _ = await forked(zygote, 1)
        control.close()
        assert isinstance(await zygote.events.get(), Exited)
        zygote.process.kill(1, signal.SIGKILL)
        control, pid = await forked(zygote, 2)
        control.close()
        assert await zygote.events.get() == Exited(worker_id=2, pid=pid, code=0)


async def test_a_worker_has_only_its_own_control_socket() -> None:
    worker = """
import stat
kinds = [os.fstat(fd).st_mode for fd in range(1024) if os.path.exists(f"/proc/self/fd/{fd}")]
tell(control, sum(map(stat.S_ISSOCK, kinds)), threading.active_count())
control.recv(1)
return 0
"""
    async with running_zygote(worker) as zygote:
        controls = [(await forked(zygote, number))[0] for number in range(3)]
        for control in controls:
            assert await told(control) == (1, 1)
            control.close()
        assert {type(await zygote.events.get()) for _ in controls} == {Exited}


async def test_signals_of_a_service_manager_do_not_end_zygote_or_workers() -> None:
    async with running_zygote(WAITS) as zygote:
        control, pid = await forked(zygote, 1)
        with control:
            await told(control)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(zygote.process.pid, number)
                os.kill(pid, number)
            control.send(b"x")
            assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=0)


async def test_they_end_the_programs_that_a_worker_starts() -> None:
    worker = """
program = subprocess.Popen(["sleep", "1000"])
program.terminate()
return -program.wait()
"""
    async with running_zygote(worker) as zygote:
        control, pid = await forked(zygote, 1)
        control.close()
        assert await zygote.events.get() == Exited(worker_id=1, pid=pid, code=signal.SIGTERM)


async def test_the_group_of_a_terminal_is_another() -> None:
    async with running_zygote("tell(control, os.getsid(0), os.getpgid(0), os.getpid())\nreturn 0") as zygote:
        control, pid = await forked(zygote, 1)
        with control:
            assert await told(control) == (zygote.process.pid, pid, pid)
        await zygote.events.get()


STARTS_A_PROGRAM = """
program = subprocess.Popen(["sleep", "1000"])
tell(control, program.pid)
control.recv(1)
return 0
"""


@pytest.mark.parametrize("is_killed", [False, True])
async def test_what_a_worker_started_ends_with_it(is_killed: bool) -> None:
    async with running_zygote(STARTS_A_PROGRAM) as zygote:
        control, _ = await forked(zygote, 1)
        (program,) = await told(control)
        with control:
            if is_killed:
                zygote.process.kill(1, signal.SIGKILL)
            else:
                control.send(b"x")
            assert isinstance(await zygote.events.get(), Exited)
        await gone(program)


async def test_workers_end_with_the_host() -> None:
    async with running_zygote(WAITS) as zygote:
        pairs = [await forked(zygote, number) for number in range(3)]
        for control, _ in pairs:
            await told(control)
        await zygote.process.close()
        assert not any(is_alive(pid) for _, pid in pairs)
        for control, _ in pairs:
            control.close()


async def test_workers_end_with_the_zygote() -> None:
    async with running_zygote(WAITS) as zygote:
        control, pid = await forked(zygote, 1)
        with control:
            await told(control)
            os.kill(zygote.process.pid, signal.SIGKILL)
            assert await zygote.events.get() is None
            await gone(pid)
