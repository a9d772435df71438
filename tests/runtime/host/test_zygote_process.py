"""The host's end of the zygote: its start and its end."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from longshore.proto.ipc.messages import ZygoteReady
from longshore.runtime.host.zygote_process import ZygoteProcess
from tests.runtime.host.zygotes import zygote_command

WAITS = zygote_command("control.recv(1)\nreturn 0")


async def test_it_says_when_it_is_ready() -> None:
    events: asyncio.Queue[object] = asyncio.Queue()
    process = ZygoteProcess(events.put_nowait, lambda: events.put_nowait("end"), command=WAITS)
    assert await events.get() == ZygoteReady(pid=process.pid)
    await process.close()
    assert events.empty(), "an end that was asked for is not told"


async def test_it_may_be_closed_before_it_is_ready() -> None:
    events: asyncio.Queue[object] = asyncio.Queue()
    process = ZygoteProcess(events.put_nowait, lambda: events.put_nowait("end"), command=WAITS)
    process.fork(1).close()
    await process.close()
    assert events.empty()


async def test_a_program_that_is_not_there_is_an_error_that_leaves_nothing() -> None:
    with pytest.raises(FileNotFoundError):
        ZygoteProcess(lambda event: None, lambda: None, command=["/no/such/program"])


async def test_an_end_before_it_was_ready_is_told() -> None:
    events: asyncio.Queue[object] = asyncio.Queue()
    command = [*WAITS[:2], "raise SystemExit(1)"]
    process = ZygoteProcess(events.put_nowait, lambda: events.put_nowait("end"), command=command)
    assert await events.get() == "end"
    await process.close()


async def test_an_end_in_the_middle_of_a_message_is_told() -> None:
    events: asyncio.Queue[object] = asyncio.Queue()
    command = [*WAITS[:2], "import socket, sys\nsocket.socket(fileno=int(sys.argv[1])).send(b'\\0\\0')"]
    process = ZygoteProcess(events.put_nowait, lambda: events.put_nowait("end"), command=command)
    assert await events.get() == "end"
    await process.close()


async def test_one_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.host.child_process._PATIENCE_S", 0.05)
    events: asyncio.Queue[object] = asyncio.Queue()
    process = ZygoteProcess(events.put_nowait, lambda: events.put_nowait("end"), command=WAITS)
    await events.get()
    os.kill(process.pid, signal.SIGSTOP)
    await process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
