"""ASGI applications that a handler calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.params import Depends

from longshore.workers import Request, asgi
from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from longshore.workers import *
from longshore.workers import asgi
LOG = []
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        response = await asgi.fetch(app, request, self.env, self.ctx)
        response.headers["x-behind"] = "handler"
        return response
"""

HELLO = """
async def app(scope, receive, send):
    if scope["type"] != "http": raise RuntimeError
    headers = [(b"x-a", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def body(code: str, start: str = "") -> str:
    """Return an application that does ``code`` between the head and the end of its response."""
    lines = "\n".join(f"    {line}" for line in code.splitlines())
    return (
        f'async def app(scope, receive, send):\n    if scope["type"] != "http": raise RuntimeError\n{start}\n'
        '    async def give(data): await send({"type": "http.response.body", "body": data, "more_body": True})\n'
        '    await send({"type": "http.response.start", "status": 200, "headers": []})\n'
        f'{lines}\n    await send({{"type": "http.response.body", "body": b""}})\n'
    )


async def test_response_of_the_application(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, HEAD + HELLO)
    one = await call(app)
    assert (one.status, one.text) == (201, "hello")
    assert one.headers["x-a"] == "1"
    assert one.headers["x-behind"] == "handler"


async def test_scope_of_the_application(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    source = HEAD + "async def app(scope, receive, send):\n    if 'env' in scope: scope['env'].SEEN.append(scope)\n"
    app, _ = make_app(tmp_path, source, env={"SEEN": seen})
    await call(app, "/a%20b/c?x=%201", "POST", headers={"X-Up": "Yes"}, body=(b"x",))
    scope = next(each for each in seen if each["type"] == "http")
    assert (scope["type"], scope["method"], scope["scheme"]) == ("http", "POST", "http")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b/c", b"/a%20b/c", b"x=%201")
    assert (b"x-up", b"Yes") in scope["headers"]
    assert scope["client"] == ("127.0.0.1", 50000)


async def test_request_body_reaches_the_application_in_parts(tmp_path: Path) -> None:
    start = (
        "    got = b''\n    while True:\n        m = await receive()\n        got += m['body']\n"
        "        if not m['more_body']: break"
    )
    app, _ = make_app(tmp_path, HEAD + body("await give(got)", start))
    assert (await call(app, method="POST", body=(b"a", b"b", b"c"))).text == "abc"


async def test_body_is_streamed(tmp_path: Path) -> None:
    gate = asyncio.Event()
    app, _ = make_app(
        tmp_path,
        HEAD + body("await give(b'one')\nawait scope['env'].GATE.wait()\nawait give(b'two')"),
        env={"GATE": gate},
    )
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    assert one.chunks == [b"one"]
    gate.set()
    await task
    assert (one.body, one.is_complete) == (b"onetwo", True)


async def test_slow_client_holds_the_application_up(tmp_path: Path) -> None:
    log: list[int] = []
    app, _ = make_app(
        tmp_path,
        HEAD + body("for n in range(100):\n    scope['env'].LOG.append(n)\n    await give(b'x')"),
        env={"LOG": log},
    )
    one = Call(app)
    one.may_take.clear()
    task = one.start()
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(log) < 6
    one.may_take.set()
    await task
    assert len(one.body) == 100


async def test_application_learns_that_its_client_has_left(tmp_path: Path) -> None:
    log: list[str] = []
    code = "await give(b'x')\nawait receive()\nscope['env'].LOG.append((await receive())['type'])\nawait give(b'y')"
    app, recorder = make_app(tmp_path, HEAD + body(code), env={"LOG": log})
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    one.leave()
    await task
    assert await app.drain(10) == (0, 0)
    assert log == ["http.disconnect"]
    assert recorder.failures == []


async def test_failure_before_the_response(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, HEAD + "async def app(scope, receive, send): raise ValueError('x')")
    assert (await call(app)).status == 500
    assert [each.report.message for each in recorder.failures] == ["x"]


async def test_failure_behind_the_first_chunk(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, HEAD + body("await give(b'x')\nraise ValueError('x')"))
    one = await call(app)
    assert (one.status, one.is_complete) == (200, False)
    assert [each.report.message for each in recorder.failures] == ["x"]


async def test_failure_behind_the_response(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, HEAD + HELLO + "    raise ValueError('late')")
    one = await call(app)
    assert (one.status, one.is_complete) == (201, True)
    await app.drain(10)
    assert [(each.where, each.report.message) for each in recorder.failures] == [("wait_until", "late")]


async def test_application_without_a_response(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, HEAD + "async def app(scope, receive, send): pass")
    assert (await call(app)).status == 500
    assert recorder.failures[0].report.message == "the application did not generate a response"


@pytest.mark.parametrize("status", [204, 304])
async def test_response_without_a_body(tmp_path: Path, status: int) -> None:
    app, recorder = make_app(tmp_path, HEAD + HELLO.replace("201", str(status)).replace("hello", ""))
    one = await call(app)
    assert (one.status, one.body, recorder.failures) == (status, b"", [])


async def test_work_behind_the_response_goes_on(tmp_path: Path) -> None:
    gate = asyncio.Event()
    log: list[int] = []
    code = HELLO + "    await scope['env'].GATE.wait()\n    scope['env'].LOG.append(1)"
    app, _ = make_app(tmp_path, HEAD + code, env={"GATE": gate, "LOG": log})
    await call(app)
    gate.set()
    assert await app.drain(10) == (0, 0)
    assert log == [1]


async def test_cancelled_handler_cancels_the_application(tmp_path: Path) -> None:
    there = asyncio.Event()
    log: list[str] = []
    source = HEAD + (
        "async def app(scope, receive, send):\n    if scope['type'] != 'http': raise RuntimeError\n    try:\n"
        "        scope['env'].THERE.set()\n        await asyncio.Event().wait()\n    finally:\n"
        "        scope['env'].LOG.append('ended')\n"
    )
    app, recorder = make_app(tmp_path, source, env={"THERE": there, "LOG": log})
    one = Call(app)
    task = one.start()
    await there.wait()
    one.leave()
    await task
    assert await app.drain(10) == (0, 0)
    assert log == ["ended"]
    assert recorder.failures == []


# -- lifespan -------------------------------------------------------------------------------------

LIFESPAN = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        scope["state"]["n"] = 5
        while True:
            LOG.append((await receive())["type"])
            await send({"type": LOG[-1] + ".complete"})
            if LOG[-1].endswith("shutdown"): return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % scope["state"]["n"]})
"""


async def test_lifespan_is_that_of_the_worker(tmp_path: Path) -> None:
    shared.clear()
    app, _ = make_app(tmp_path, f"{HEAD}from {__name__} import shared as LOG\n{LIFESPAN}")
    assert [(await call(app)).text for _ in range(3)] == ["5", "5", "5"]
    assert shared == ["lifespan.startup"]
    await app.drain(10)
    assert shared == ["lifespan.startup", "lifespan.shutdown"]


shared: list[str] = []


async def test_lifespan_that_fails(tmp_path: Path) -> None:
    source = HEAD + (
        "async def app(scope, receive, send):\n    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    app, recorder = make_app(tmp_path, source)
    assert [(await call(app)).status for _ in range(2)] == [500, 500]
    assert recorder.failures[0].report.message == "ASGI lifespan startup failed: no database"
    await app.drain(10)


async def test_outside_a_worker_there_is_no_lifespan() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["env"].encode()})

    response = await asgi.fetch(app, Request("http://x/"), "env")
    assert (seen, await response.text()) == (["http"], "env")


# -- the rest of the module -----------------------------------------------------------------------


def test_options_are_checked() -> None:
    assert asgi.Options().encode_body == "automatic"
    assert asgi.Options(encode_body="manual").encode_body == "manual"
    with pytest.raises(ValueError, match="encode_body must be one of"):
        asgi.Options(encode_body="x")  # type: ignore[arg-type]


async def test_entrypoint_called_by_hand_answers_too(tmp_path: Path) -> None:
    source = (
        HEAD.replace("class Default", "class Other")
        + HELLO
        + (
            "Api = asgi.entrypoint(app, options=asgi.Options())\n"
            "class Default(WorkerEntrypoint):\n    async def fetch(self, request):\n"
            "        return await Api(self.ctx, self.env).fetch(request)"
        )
    )
    app, _ = make_app(tmp_path, source)
    assert (await call(app)).text == "hello"


async def test_websocket_of_a_request_that_asks_for_none() -> None:
    with pytest.raises(RuntimeError, match=r"GET http://x/ does not ask for a WebSocket: use asgi.fetch\(\)"):
        await asgi.websocket(None, Request("http://x/"))


def test_env_is_a_dependency_of_fastapi() -> None:
    assert isinstance(asgi.env, Depends)
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        asgi.other  # noqa: B018 - it raises
