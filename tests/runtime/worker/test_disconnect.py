"""Clients that leave, at every stage, and what goes on without them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.proto.ipc.messages import LogLine
from tests.loopback import linked, refusing_address
from tests.runtime.worker.driver import Call, Recorder, make_app
from tests.sweep import MODES, Attempt, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.runtime.worker.app import WorkerApp

HEAD = "from longshore.workers import *\nimport asyncio\n"


class Stage:
    """What a worker of these tests and its test tell each other."""

    def __init__(self) -> None:
        self.is_there = asyncio.Event()
        self.may_go = asyncio.Event()
        self.log: list[str] = []

    async def wait(self) -> None:
        self.is_there.set()
        try:
            await self.may_go.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise


def worker(tmp_path: Path, body: str, stage: Stage, grace_s: float = 0.0) -> tuple[WorkerApp, Recorder]:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    source = f"{HEAD}async def on_fetch(request, env, ctx):\n  stage = env.STAGE\n{lines}\n"
    return make_app(tmp_path, source, env={"STAGE": stage}, grace_s=grace_s)


@pytest.mark.parametrize("has_connection", [True, False])
async def test_handler_is_cancelled(tmp_path: Path, has_connection: bool) -> None:
    stage = Stage()
    app, recorder = worker(tmp_path, "await stage.wait()\nreturn Response('')", stage)
    one = Call(app, has_connection=has_connection)
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    await task
    assert stage.log == ["cancelled"]
    assert recorder.failures == []
    assert (recorder.finished[0].outcome, recorder.finished[0].status) == ("canceled", 0)
    assert app.in_flight == 0


async def test_client_that_left_before_the_handler_began(tmp_path: Path) -> None:
    stage = Stage()
    app, recorder = worker(tmp_path, "await stage.wait()\nreturn Response('')", stage)
    one = Call(app)
    one.leave()
    await one.start()
    assert stage.log == ["cancelled"]
    assert recorder.finished[0].outcome == "canceled"


@pytest.mark.parametrize("has_connection", [True, False])
async def test_client_that_leaves_while_its_body_is_read(tmp_path: Path, has_connection: bool) -> None:
    stage = Stage()
    app, recorder = worker(tmp_path, "stage.is_there.set()\nawait request.bytes()\nreturn Response('')", stage)
    one = Call(app, method="POST", body=(b"begin",), has_connection=has_connection)
    one._to_app._queue[0]["more_body"] = True  # type: ignore[attr-defined]
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    await task
    assert recorder.finished[0].outcome == "canceled"
    assert recorder.failures == []


async def test_handler_that_goes_on_is_let_go_on(tmp_path: Path) -> None:
    stage = Stage()
    body = (
        "try:\n  await stage.wait()\nexcept asyncio.CancelledError:\n  stage.log.append('went on')\n"
        "return Response('x')"
    )
    app, recorder = worker(tmp_path, body, stage)
    one = Call(app)
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    await task
    assert stage.log == ["cancelled", "went on"]
    assert recorder.finished[0].outcome == "canceled"


@pytest.mark.parametrize("error", ["RuntimeError('no more')", "SystemExit(3)"])
async def test_handler_that_makes_another_error_of_its_cancellation_has_not_failed(tmp_path: Path, error: str) -> None:
    stage = Stage()
    body = f"try:\n  await stage.wait()\nexcept asyncio.CancelledError:\n  raise {error}"
    app, recorder = worker(tmp_path, body, stage)
    one = Call(app)
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    await task
    assert recorder.failures == []
    assert recorder.finished[0].outcome == "canceled"
    (line,) = [each for each in recorder.messages if isinstance(each, LogLine)]
    name = error.partition("(")[0]
    assert (line.level, line.text.partition(":")[0]) == (
        "warning",
        f"the handler raised {name} when its client had left",
    )


async def test_handler_that_fails_within_its_grace_has_failed(tmp_path: Path) -> None:
    stage = Stage()
    app, recorder = worker(tmp_path, "await stage.wait()\nraise ValueError('x')", stage, 3600)
    one = Call(app)
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    stage.may_go.set()
    await task
    assert [each.report.type for each in recorder.failures] == ["ValueError"]


async def test_grace_lets_a_handler_finish(tmp_path: Path) -> None:
    stage = Stage()
    app, recorder = worker(tmp_path, "await stage.wait()\nstage.log.append('done')\nreturn Response('')", stage, 3600)
    one = Call(app)
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    stage.may_go.set()
    await task
    assert stage.log == ["done"]
    assert recorder.failures == []


async def test_grace_comes_to_an_end(tmp_path: Path) -> None:
    stage = Stage()
    app, recorder = worker(tmp_path, "await stage.wait()\nreturn Response('')", stage, 0.01)
    one = Call(app)
    task = one.start()
    await stage.is_there.wait()
    one.leave()
    await task
    assert stage.log == ["cancelled"]
    assert recorder.finished[0].outcome == "canceled"


async def test_wait_until_goes_on_when_the_client_leaves(tmp_path: Path) -> None:
    stage, work = Stage(), Stage()
    app, _ = make_app(
        tmp_path,
        f"{HEAD}async def on_fetch(request, env, ctx):\n  ctx.wait_until(env.WORK.wait())\n  await env.STAGE.wait()\n",
        env={"STAGE": stage, "WORK": work},
    )
    one = Call(app)
    task = one.start()
    await work.is_there.wait()
    one.leave()
    await task
    assert (stage.log, work.log) == (["cancelled"], [])
    work.may_go.set()
    assert await app.drain(10) == (0, 0)


async def test_task_that_the_handler_started_goes_on_when_the_client_leaves(tmp_path: Path) -> None:
    stage, work = Stage(), Stage()
    app, _ = make_app(
        tmp_path,
        f"{HEAD}async def on_fetch(request, env):\n  global task\n  task = asyncio.create_task(env.WORK.wait())\n"
        "  await env.STAGE.wait()\n",
        env={"STAGE": stage, "WORK": work},
    )
    one = Call(app)
    task = one.start()
    await work.is_there.wait()
    one.leave()
    await task
    assert await app.drain(10) == (0, 0)
    assert work.log == []
    work.may_go.set()
    await asyncio.sleep(0)


async def test_connection_serves_the_next_request_after_a_cancelled_one_of_another(tmp_path: Path) -> None:
    stage = Stage()
    app, _ = worker(tmp_path, "return Response('x')", stage)
    one = await Call(app).start()
    assert one.connection.on_lost is None
    one.leave()  # between requests: nobody is told, nothing breaks


async def test_socket_behind_a_response_is_reset_when_the_client_leaves(tmp_path: Path) -> None:
    async with linked() as (socket, peer):
        source = f"{HEAD}def on_fetch(request, env):\n  return Response(env.SOCKET.readable)"
        app, recorder = make_app(tmp_path, source, env={"SOCKET": socket})
        one = Call(app)
        task = one.start()
        await peer.send(b"hello")
        await one.got_body.wait()
        assert one.body == b"hello"
        one.leave()
        await task
        with pytest.raises(ConnectionResetError):
            await peer.receive()
    assert recorder.failures == []


async def test_refused_socket_behind_a_response_is_a_500(tmp_path: Path) -> None:
    with refusing_address() as address:
        source = (
            f"from longshore import connect\n{HEAD}def on_fetch(request, env):\n"
            "  return Response(connect(env.ADDRESS).readable)"
        )
        app, recorder = make_app(tmp_path, source, env={"ADDRESS": address})
        one = await Call(app).start()
    assert one.status == 500
    assert recorder.failures[0].report.type == "longshore.errors.ConnectError"


# -- every suspension -----------------------------------------------------------------------------

PLAYS = {
    "text": "await asyncio.sleep(0)\nreturn Response('x')",
    "body": "return Response(await request.text())",
    "stream": (
        "async def chunks():\n  for _ in range(3):\n    await asyncio.sleep(0)\n    yield b'x'\n"
        "return Response(chunks())"
    ),
    "echo": "return Response(request.body)",
    "failure": "await asyncio.sleep(0)\nraise ValueError('x')",
    "tasks": "async with asyncio.TaskGroup() as g:\n  g.create_task(asyncio.sleep(0))\nreturn Response('')",
    "thread": "return Response(await asyncio.to_thread(str))",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("has_connection", [True, False])
@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
async def test_cancelled_from_outside_at_every_suspension(
    tmp_path: Path, play: str, has_connection: bool, mode: str
) -> None:
    """The loop's own end cancels request tasks: that is no failure of the handler, and nothing is left."""

    async def once(attempt: Attempt) -> None:
        app, recorder = worker(tmp_path, play, Stage())
        one = Call(app, "/", "POST", body=(b"a", b"b"), has_connection=has_connection)
        await attempt.run(one.run())
        assert app.in_flight == 0
        assert one.connection.on_lost is None
        if attempt.was_cancelled:
            assert [each.report.type for each in recorder.failures if each.report.type != "ValueError"] == []

    await sweep(once, mode)


class Leaver:
    """Lets the client leave at the n-th turn of the loop since the request began."""

    def __init__(self, one: Call, turns: int) -> None:
        self.one = one
        self.turns = turns
        asyncio.get_running_loop().call_soon(self.tick)

    def tick(self) -> None:
        if self.turns == 0:
            self.one.leave()
        else:
            self.turns -= 1
            asyncio.get_running_loop().call_soon(self.tick)


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
@pytest.mark.parametrize("turns", range(12))
async def test_client_leaves_at_every_turn_of_the_loop(tmp_path: Path, play: str, turns: int) -> None:
    app, recorder = worker(tmp_path, play, Stage())
    one = Call(app, "/", "POST", body=(b"a", b"b"))
    task = one.start()
    Leaver(one, turns)
    await asyncio.wait([task])
    while not one.has_left:
        await asyncio.sleep(0)
    assert app.in_flight == 0
    (finished,) = recorder.finished
    assert finished.outcome in ("ok", "canceled") if play != PLAYS["failure"] else ("error", "canceled")
    types: list[Any] = [each.report.type for each in recorder.failures]
    assert types in ([], ["ValueError"])
