"""Response bodies that are sent as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.runtime.worker.streaming import as_bytes
from longshore.sockets._readable import ReadableStream
from longshore.workers._sources import BytesSource
from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.runtime.worker.app import WorkerApp

HEAD = "from longshore.workers import *\nimport asyncio\n"


def chunks(body: str) -> str:
    """Return a worker that answers with an async generator whose code is ``body``; ``s`` is its event."""
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    handler = "def on_fetch(request, env):\n  return Response(chunks(env.S, env.LOG))\n"
    return f"{HEAD}async def chunks(s, log):\n{lines}\n{handler}"


def make_env() -> dict[str, object]:
    return {"S": asyncio.Event(), "LOG": []}


async def test_chunks_are_sent_as_they_come(tmp_path: Path) -> None:
    env = make_env()
    app, _ = make_app(tmp_path, chunks("yield b'one'\nawait s.wait()\nyield b'two'"), env=env)
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    assert (one.chunks, one.is_complete) == ([b"one"], False)
    env["S"].set()  # type: ignore[attr-defined]
    await task
    assert one.chunks == [b"one", b"two"]
    assert one.is_complete
    assert "content-length" not in one.headers


async def test_stream_without_a_chunk(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, chunks("if False: yield b''"), env=make_env())
    one = await call(app)
    assert (one.status, one.body, one.is_complete) == (200, b"", True)


async def test_empty_chunks_do_not_end_the_body(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, chunks("yield b''\nyield b'x'"), env=make_env())
    assert (await call(app)).body == b"x"


async def test_head_does_not_wait_for_a_slow_first_chunk(tmp_path: Path) -> None:
    env = make_env()
    app, _ = make_app(tmp_path, chunks("await s.wait()\nyield b'x'"), env=env)
    one = Call(app)
    task = one.start()
    await one.started.wait()
    assert one.chunks == []
    env["S"].set()  # type: ignore[attr-defined]
    await task
    assert (one.status, one.body, one.is_complete) == (200, b"x", True)


async def test_failure_before_the_first_chunk_is_a_500(tmp_path: Path) -> None:
    app, recorder = make_app(
        tmp_path, chunks("await asyncio.sleep(0)\nraise OSError('refused')\nyield b''"), env=make_env()
    )
    one = await call(app)
    assert (one.status, one.is_complete) == (500, True)
    assert recorder.failures[0].report.message == "refused"
    assert recorder.finished[0].status == 500


async def test_failure_behind_the_first_chunk_leaves_the_response_incomplete(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, chunks("yield b'x'\nraise OSError('reset')"), env=make_env())
    one = await call(app)
    assert (one.status, one.body, one.is_complete) == (200, b"x", False)
    assert recorder.failures[0].report.message == "reset"
    assert recorder.finished[0].outcome == "error"


async def test_failure_behind_a_head_that_did_not_wait(tmp_path: Path) -> None:
    env = make_env()
    app, recorder = make_app(tmp_path, chunks("await s.wait()\nraise OSError('late')\nyield b''"), env=env)
    one = Call(app)
    task = one.start()
    await one.started.wait()
    env["S"].set()  # type: ignore[attr-defined]
    await task
    assert (one.status, one.is_complete) == (200, False)
    assert recorder.failures[0].report.message == "late"


async def test_slow_client_holds_the_source_up(tmp_path: Path) -> None:
    env = make_env()
    app, _ = make_app(tmp_path, chunks("for n in range(100):\n  log.append(n)\n  yield b'x'"), env=env)
    one = Call(app)
    one.may_take.clear()
    task = one.start()
    for _ in range(50):
        await asyncio.sleep(0)
    assert env["LOG"] == [0]
    one.may_take.set()
    await task
    assert len(one.chunks) == 100


@pytest.mark.parametrize("has_connection", [True, False])
async def test_client_that_leaves_ends_the_source(tmp_path: Path, has_connection: bool) -> None:
    env = make_env()
    source = chunks("try:\n  yield b'x'\n  await s.wait()\nfinally:\n  log.append('closed')")
    app, recorder = make_app(tmp_path, source, env=env)
    one = Call(app, has_connection=has_connection)
    task = one.start()
    await one.got_body.wait()
    one.leave()
    await task
    assert env["LOG"] == ["closed"]
    assert recorder.failures == []
    assert recorder.finished[0].outcome == "canceled"
    assert app.in_flight == 0


async def test_client_that_leaves_ends_a_source_that_never_waits(tmp_path: Path) -> None:
    env = make_env()
    app, recorder = make_app(tmp_path, chunks("while True:\n  log.append(1)\n  yield b'x'"), env=env)
    one = Call(app)
    send = one.send

    async def leave_soon(message: dict[str, object]) -> None:
        await send(message)
        if len(one.chunks) == 10:
            one.leave()

    await asyncio.get_running_loop().create_task(app(one.scope, one.receive, leave_soon))
    assert len(env["LOG"]) < 20  # type: ignore[arg-type]
    assert recorder.finished[0].outcome == "canceled"


async def test_head_request_does_not_read_the_source(tmp_path: Path) -> None:
    env = make_env()
    app, _ = make_app(tmp_path, chunks("log.append('read')\nyield b'x'"), env=env)
    one = await call(app, method="HEAD")
    assert (one.status, one.body, one.is_complete) == (200, b"", True)
    assert env["LOG"] == []


async def test_stream_that_somebody_else_reads_is_a_failure(tmp_path: Path) -> None:
    source = (
        HEAD + "def on_fetch(request, env):\n  r = Response(env.S)\n  env.LOG.append(r.body.get_reader())\n  return r"
    )
    app, recorder = make_app(tmp_path, source, env={"S": ReadableStream(BytesSource(b"x")), "LOG": []})
    assert (await call(app)).status == 500
    assert "read" in recorder.failures[0].report.message or "locked" in recorder.failures[0].report.message


async def test_request_body_can_be_the_response(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, HEAD + "def on_fetch(request):\n  return Response(request.body)")
    one = await call(app, method="POST", body=(b"a", b"b", b"c"))
    assert one.body == b"abc"


async def test_request_body_can_be_the_response_without_a_connection_in_the_scope(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, HEAD + "def on_fetch(request):\n  return Response(request.body)")
    one = await call(app, method="POST", body=(b"a", b"b", b"c"), has_connection=False)
    assert one.body == b"abc"


async def test_chunk_that_is_no_bytes(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, chunks("yield 1"), env=make_env())
    assert (await call(app)).status == 500
    assert "int" in recorder.failures[0].report.message


def test_as_bytes_takes_what_has_bytes() -> None:
    assert as_bytes(b"x") == b"x"
    assert as_bytes(bytearray(b"x")) == b"x"
    assert len(as_bytes(memoryview(b"\x00\x00\x00\x00").cast("I"))) == 4
    with pytest.raises(TypeError, match=r"must consist of bytes, not str; use \.encode"):
        as_bytes("x")


class SlowToStop(Call):
    """A server whose ``send()`` takes a moment to end when it is cancelled."""

    def __init__(self, app: WorkerApp) -> None:
        super().__init__(app)
        self.is_sending = asyncio.Event()
        self.log: list[str] = []

    async def send(self, message: dict[str, Any]) -> None:
        self.is_sending.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.log.append("ended")


async def test_nobody_sends_the_head_any_more_when_its_response_has_failed(tmp_path: Path) -> None:
    gate = asyncio.Event()
    source = (
        f"{HEAD}async def chunks(env):\n  await env.GATE.wait()\n  raise ValueError('x')\n  yield b''\n"
        "def on_fetch(request, env):\n  return Response(chunks(env))"
    )
    app, recorder = make_app(tmp_path, source, env={"GATE": gate})
    one = SlowToStop(app)
    task = one.start()
    await one.is_sending.wait()
    gate.set()
    await task
    assert one.log == ["ended"]
    assert [each.report.message for each in recorder.failures] == ["x"]
