"""``wait_until``, and the end of a worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.workers import wait_until, waitUntil
from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from longshore.workers import *\nimport asyncio\n"

SPELLINGS = ("ctx.wait_until", "ctx.waitUntil", "wait_until", "waitUntil")


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_work_goes_on_after_the_response(tmp_path: Path, spelling: str) -> None:
    gate = asyncio.Event()
    log: list[str] = []
    source = (
        f"{HEAD}async def work(env):\n  await env.GATE.wait()\n  env.LOG.append('done')\n"
        f"async def on_fetch(request, env, ctx):\n  {spelling}(work(env))\n  return Response('x')"
    )
    app, recorder = make_app(tmp_path, source, env={"GATE": gate, "LOG": log})
    assert (await call(app)).text == "x"
    assert log == []
    assert app.in_flight == 0
    gate.set()
    assert await app.drain(10) == (0, 0)
    assert log == ["done"]
    assert recorder.failures == []


async def test_failure_names_the_request_that_caused_it(tmp_path: Path) -> None:
    source = (
        f"{HEAD}async def work():\n  await asyncio.sleep(0)\n  raise ValueError('too late')\n"
        "async def on_fetch(request, env, ctx):\n  ctx.wait_until(work())\n  return Response(ctx.request_id)"
    )
    app, recorder = make_app(tmp_path, source)
    answer = await call(app, "/a?b", "POST")
    await app.drain(10)
    (failure,) = recorder.failures
    assert (failure.where, failure.request_id, failure.subject) == ("wait_until", answer.text, "POST /a?b")
    assert failure.report.message == "too late"
    assert "in work" in failure.report.text
    assert recorder.finished[0].outcome == "ok"


async def test_work_belongs_to_its_request(tmp_path: Path) -> None:
    source = (
        f"from longshore.workers._context import current_request_id\n{HEAD}"
        "async def work(env):\n  await asyncio.sleep(0)\n  env.LOG.append(current_request_id())\n"
        "async def on_fetch(request, env, ctx):\n  ctx.wait_until(work(env))\n  return Response(ctx.request_id)"
    )
    log: list[str] = []
    app, _ = make_app(tmp_path, source, env={"LOG": log})
    ids = [(await call(app)).text for _ in range(2)]
    await app.drain(10)
    assert log == ids


async def test_tasks_and_futures_are_waited_for_too(tmp_path: Path) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    source = f"{HEAD}async def on_fetch(request, env, ctx):\n  ctx.wait_until(env.F)\n  return Response('')"
    app, _ = make_app(tmp_path, source, env={"F": future})
    await call(app)
    drained = asyncio.get_running_loop().create_task(app.drain(10))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not drained.done()
    future.set_result(None)
    assert await drained == (0, 0)


async def test_future_that_is_cancelled_is_no_failure(tmp_path: Path) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    source = f"{HEAD}async def on_fetch(request, env, ctx):\n  ctx.wait_until(env.F)\n  return Response('')"
    app, recorder = make_app(tmp_path, source, env={"F": future})
    await call(app)
    future.cancel()
    assert await app.drain(10) == (0, 0)
    assert recorder.failures == []


@pytest.mark.parametrize(("value", "text"), [("1", "not int"), ("work", "not function: call it"), ("None", "NoneType")])
async def test_what_cannot_be_awaited(tmp_path: Path, value: str, text: str) -> None:
    source = f"{HEAD}async def work(): ...\nasync def on_fetch(request, env, ctx):\n  ctx.wait_until({value})"
    app, recorder = make_app(tmp_path, source)
    await call(app)
    assert text in recorder.failures[0].report.message


@pytest.mark.parametrize("function", [wait_until, waitUntil])
async def test_wait_until_outside_a_handler(function: object) -> None:
    async def work() -> None: ...

    with pytest.raises(RuntimeError, match=r"wait_until\(\) was called outside a handler"):
        function(work())  # type: ignore[operator] # one of two functions


async def test_wait_until_in_a_thread(tmp_path: Path) -> None:
    log: list[str] = []
    source = (
        f"{HEAD}async def work(env):\n  env.LOG.append('done')\n"
        "async def on_fetch(request, env, ctx):\n  await asyncio.to_thread(lambda: wait_until(work(env)))\n"
        "  return Response('')"
    )
    app, _ = make_app(tmp_path, source, env={"LOG": log})
    await call(app)
    await asyncio.sleep(0)
    await app.drain(10)
    assert log == ["done"]


# -- drain ----------------------------------------------------------------------------------------

WAITING = (
    f"{HEAD}async def on_fetch(request, env, ctx):\n  env.THERE.set()\n  await env.GATE.wait()\n  return Response('x')"
)


async def test_drain_of_an_idle_worker(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, f"{HEAD}def on_fetch(): ...")
    assert await app.drain(0) == (0, 0)


async def test_drain_waits_for_requests(tmp_path: Path) -> None:
    there, gate = asyncio.Event(), asyncio.Event()
    app, _ = make_app(tmp_path, WAITING, env={"THERE": there, "GATE": gate})
    one = Call(app)
    task = one.start()
    await there.wait()
    drained = asyncio.get_running_loop().create_task(app.drain(3600))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not drained.done()
    gate.set()
    assert await drained == (0, 0)
    assert (await task).text == "x"


async def test_drain_cancels_what_takes_too_long(tmp_path: Path) -> None:
    there, gate = asyncio.Event(), asyncio.Event()
    source = WAITING.replace("  env.THERE", "  ctx.wait_until(env.GATE.wait())\n  env.THERE")
    app, recorder = make_app(tmp_path, source, env={"THERE": there, "GATE": gate})
    one = Call(app)
    task = one.start()
    await there.wait()
    assert await app.drain(0) == (1, 1)
    await task
    assert (one.status, one.text, one.is_complete) == (503, "Service Unavailable\n", True)
    assert recorder.failures == []
    assert recorder.finished[0].outcome == "canceled"


async def test_drain_leaves_a_response_that_has_begun_incomplete(tmp_path: Path) -> None:
    source = (
        f"{HEAD}async def chunks(env):\n  yield b'x'\n  await env.GATE.wait()\n"
        "def on_fetch(request, env):\n  return Response(chunks(env))"
    )
    app, _ = make_app(tmp_path, source, env={"GATE": asyncio.Event()})
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    assert await app.drain(0) == (1, 0)
    await task
    assert (one.status, one.is_complete) == (200, False)


async def test_drain_waits_for_work_that_a_draining_request_starts(tmp_path: Path) -> None:
    there, gate = asyncio.Event(), asyncio.Event()
    log: list[str] = []
    source = WAITING.replace("  return", "  ctx.wait_until(work(env))\n  return") + (
        "\nasync def work(env):\n  for _ in range(5): await asyncio.sleep(0)\n  env.LOG.append('done')"
    )
    app, _ = make_app(tmp_path, source, env={"THERE": there, "GATE": gate, "LOG": log})
    task = Call(app).start()
    await there.wait()
    drained = asyncio.get_running_loop().create_task(app.drain(3600))
    await asyncio.sleep(0)
    gate.set()
    assert await drained == (0, 0)
    assert log == ["done"]
    await task


async def test_drain_gives_up_on_what_refuses_to_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.worker.work.CANCEL_GRACE_S", 0.0)
    gate = asyncio.Event()
    source = (
        f"{HEAD}async def stubborn(env):\n  while not env.GATE.is_set():\n    try: await env.GATE.wait()\n"
        "    except asyncio.CancelledError: pass\n"
        "async def on_fetch(request, env, ctx):\n  ctx.wait_until(stubborn(env))\n  return Response('')"
    )
    app, _ = make_app(tmp_path, source, env={"GATE": gate})
    await call(app)
    await asyncio.sleep(0)
    assert await app.drain(0) == (0, 1)
    gate.set()
    await app.drain(10)


HANGS = (
    f"{HEAD}async def on_fetch(request, env):\n  env.THERE.set()\n  try:\n    await env.GATE.wait()\n"
    "  finally:\n    env.LOG.append('once')\n    try:\n      await env.GATE.wait()\n"
    "    finally:\n      env.LOG.append('twice')\n"
)


@pytest.mark.parametrize("has_left", [True, False])
async def test_drain_cancels_again_what_hangs_in_its_cleaning_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_left: bool
) -> None:
    monkeypatch.setattr("longshore.runtime.worker.work.CANCEL_GRACE_S", 0.01)
    there, log = asyncio.Event(), list[str]()
    app, recorder = make_app(tmp_path, HANGS, env={"THERE": there, "GATE": asyncio.Event(), "LOG": log})
    one = Call(app)
    task = one.start()
    await there.wait()
    if has_left:
        one.leave()
        while not log:
            await asyncio.sleep(0)
    assert await app.drain(0) == (1, 0)
    await task
    assert log == ["once", "twice"]
    assert one.status == (0 if has_left else 503)
    assert recorder.failures == []
    assert recorder.finished[0].outcome == "canceled"


async def test_cancelled_drain_changes_nothing(tmp_path: Path) -> None:
    there, gate = asyncio.Event(), asyncio.Event()
    app, _ = make_app(tmp_path, WAITING, env={"THERE": there, "GATE": gate})
    one = Call(app)
    task = one.start()
    await there.wait()
    drained = asyncio.get_running_loop().create_task(app.drain(3600))
    await asyncio.sleep(0)
    drained.cancel()
    await asyncio.wait([drained])
    gate.set()
    await task
    assert one.text == "x"
