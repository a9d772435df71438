"""``scheduled`` handlers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.proto.ipc.messages import ScheduledFinished
from tests.runtime.worker.driver import Recorder, make_app

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from longshore.workers import *\nimport asyncio\n"
CRON, TIME = "*/5 * * * *", 1_700_000_000_000


def finished(recorder: Recorder) -> list[tuple[str, str]]:
    return [(each.cron, each.outcome) for each in recorder.messages if isinstance(each, ScheduledFinished)]


SIGNATURES = ("", "controller", "controller, env", "controller, env, ctx", "*args", "controller, *, ctx")


@pytest.mark.parametrize("word", ["async def", "def"])
@pytest.mark.parametrize("signature", SIGNATURES)
async def test_any_arity_of_scheduled(tmp_path: Path, signature: str, word: str) -> None:
    source = (
        f"{HEAD}log = []\nclass Default(WorkerEntrypoint):\n  {word} scheduled(self, {signature}):\n    log.append(1)"
    )
    app, recorder = make_app(tmp_path, source)
    await app.scheduled(CRON, TIME)
    assert finished(recorder) == [(CRON, "ok")]
    assert recorder.failures == []
    assert app.handlers == ("scheduled",)


async def test_controller_says_what_is_due(tmp_path: Path) -> None:
    source = (
        f"{HEAD}async def on_scheduled(controller, env):\n  controller.noRetry()\n  controller.no_retry()\n"
        "  env.LOG.append((controller.cron, controller.scheduledTime, controller.scheduled_time, controller.type))\n"
        "  env.LOG.append(repr(controller))"
    )
    log: list[object] = []
    app, _ = make_app(tmp_path, source, env={"LOG": log})
    await app.scheduled(CRON, TIME)
    assert log == [(CRON, TIME, TIME, "scheduled"), f"<ScheduledController '{CRON}' at {TIME} ms>"]


async def test_failure_is_reported(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, f"{HEAD}async def on_scheduled(): raise ValueError('x')")
    await app.scheduled(CRON, TIME)
    (failure,) = recorder.failures
    assert (failure.where, failure.subject, failure.report.message) == ("scheduled", f"cron {CRON}", "x")
    assert failure.request_id
    assert finished(recorder) == [(CRON, "error")]
    assert recorder.messages[-1].__class__ is ScheduledFinished


async def test_worker_without_a_scheduled_handler(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, f"{HEAD}class Default(WorkerEntrypoint):\n  def fetch(self): ...")
    await app.scheduled(CRON, TIME)
    assert recorder.failures[0].report.message == (
        'Python entrypoint "entry.py" does not export a handler named "scheduled"'
    )


async def test_wait_until_of_a_scheduled_handler(tmp_path: Path) -> None:
    log: list[str] = []
    source = (
        f"{HEAD}async def work(env): env.LOG.append('done')\n"
        "async def on_scheduled(c, env, ctx): ctx.waitUntil(work(env))"
    )
    app, _ = make_app(tmp_path, source, env={"LOG": log})
    await app.scheduled(CRON, TIME)
    await app.drain(10)
    assert log == ["done"]


async def test_drain_cancels_a_scheduled_handler(tmp_path: Path) -> None:
    there = asyncio.Event()
    source = f"{HEAD}async def on_scheduled(c, env):\n  env.THERE.set()\n  await asyncio.Event().wait()"
    app, recorder = make_app(tmp_path, source, env={"THERE": there})
    task = asyncio.get_running_loop().create_task(app.scheduled(CRON, TIME))
    await there.wait()
    assert app.in_flight == 1
    assert await app.drain(0) == (1, 0)
    await task
    assert finished(recorder) == [(CRON, "canceled")]
    assert recorder.failures == []


async def test_cancelled_from_outside(tmp_path: Path) -> None:
    there = asyncio.Event()
    source = f"{HEAD}async def on_scheduled(c, env):\n  env.THERE.set()\n  await asyncio.Event().wait()"
    app, recorder = make_app(tmp_path, source, env={"THERE": there})
    task = asyncio.get_running_loop().create_task(app.scheduled(CRON, TIME))
    await there.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert app.in_flight == 0
    assert recorder.failures == []
