"""An ASGI application that is the worker, in process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    from pathlib import Path


def app_of(body: str) -> str:
    """Return an application whose code is ``body``."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"""
import asyncio
START = {{"type": "http.response.start", "status": 200, "headers": []}}
ERROR = {{**START, "status": 500}}
BODY = {{"type": "http.response.body", "body": b"x"}}
MORE = {{**BODY, "more_body": True}}
async def app(scope, receive, send):
    env = scope["env"]
{lines}
"""


async def test_answer_is_passed_on(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, app_of("await send(START)\nawait send(MORE)\nawait send(BODY)"))
    one = await call(app)
    assert (one.status, one.body, one.is_complete) == (200, b"xx", True)
    assert recorder.finished[0].outcome == "ok"


ENDS = {
    "nothing": ("pass", "the application did not generate a response", 500),
    "head": ("await send(START)", "the application returned without completing its response", 200),
    "part": ("await send(START)\nawait send(MORE)", "the application returned without completing its response", 200),
    "raise": ("raise ValueError('x')", "x", 500),
    "part, raise": ("await send(START)\nawait send(MORE)\nraise ValueError('x')", "x", 200),
    "whole, raise": ("await send(START)\nawait send(BODY)\nraise ValueError('x')", "x", 200),
}


@pytest.mark.parametrize("is_dev", [False, True])
@pytest.mark.parametrize(("body", "message", "status"), ENDS.values(), ids=ENDS)
async def test_application_that_does_not_answer_well(
    tmp_path: Path, body: str, message: str, status: int, is_dev: bool
) -> None:
    app, recorder = make_app(tmp_path, app_of(body), is_dev=is_dev)
    one = await call(app)
    assert one.status == status
    assert [each.report.message for each in recorder.failures] == [message]
    assert [(each.status, each.outcome) for each in recorder.finished] == [(status, "error")]


OWN_500 = {
    "and returns": ("await send(ERROR)\nawait send(BODY)", b"x"),
    "in parts": ("await send(ERROR)\nawait send(MORE)\nawait send(BODY)", b"xx"),
    "in parts, and raises": ("await send(ERROR)\nawait send(MORE)\nawait send(BODY)\nraise ValueError", b"xx"),
}


@pytest.mark.parametrize("is_dev", [False, True])
@pytest.mark.parametrize(("body", "sent"), OWN_500.values(), ids=OWN_500)
async def test_500_of_the_applications_own(tmp_path: Path, body: str, sent: bytes, is_dev: bool) -> None:
    app, _ = make_app(tmp_path, app_of(body), is_dev=is_dev)
    one = await call(app)
    assert (one.status, one.body, one.is_complete) == (500, sent, True)


async def test_500_in_front_of_an_exception_gives_way_to_the_page(tmp_path: Path) -> None:
    body = "await send(ERROR)\nawait send(BODY)\nraise ValueError('seen')"
    app, _ = make_app(tmp_path, app_of(body), is_dev=True)
    assert (await call(app)).text.endswith("ValueError: seen\n")
    app, _ = make_app(tmp_path, app_of(body))
    assert (await call(app)).body == b"x"


async def test_application_is_told_by_receive_that_its_client_has_left(tmp_path: Path) -> None:
    there = asyncio.Event()
    body = "await receive()\nenv.THERE.set()\nassert (await receive())['type'] == 'http.disconnect'"
    app, recorder = make_app(tmp_path, app_of(body), env={"THERE": there})
    one = Call(app)
    task = one.start()
    await there.wait()
    one.leave()
    await task
    assert recorder.failures == []
    assert recorder.finished[0].outcome == "canceled"


async def test_starlettes_word_for_a_client_that_has_left_is_no_failure(tmp_path: Path) -> None:
    there = asyncio.Event()
    body = (
        "from starlette.requests import Request\nrequest = Request(scope, receive)\nenv.THERE.set()\n"
        "await request.body()"
    )
    app, recorder = make_app(tmp_path, app_of(body), env={"THERE": there})
    one = Call(app, method="POST", body=(b"x",))
    one._to_app._queue[0]["more_body"] = True  # type: ignore[attr-defined] # the deque of a Queue
    task = one.start()
    await there.wait()
    one.leave()
    await task
    assert recorder.failures == []
    assert recorder.finished[0].outcome == "canceled"


async def test_drain_cancels_the_application(tmp_path: Path) -> None:
    there = asyncio.Event()
    app, recorder = make_app(tmp_path, app_of("env.THERE.set()\nawait asyncio.Event().wait()"), env={"THERE": there})
    one = Call(app)
    task = one.start()
    await there.wait()
    assert await app.drain(0) == (1, 0)
    await task
    assert one.status == 503
    assert recorder.failures == []
