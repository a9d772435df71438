"""WebSockets in process, on servers that can and cannot answer a handshake with HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.worker.driver import make_app

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.runtime.worker.app import WorkerApp

HEAD = "from longshore.workers import *\nfrom longshore.workers import asgi\nimport asyncio\n"

ECHO = """
async def app(scope, receive, send):
    assert scope["env"].NAME == "env"
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect": return
        await send({"type": "websocket.send", "text": message["text"].upper()})
"""
HANDLER = "\nasync def on_fetch(request, env): return await asgi.websocket(app, request, env)\n"

styles = pytest.mark.parametrize("style", ["", HANDLER], ids=["main", "handler"])


class Socket:
    """One WebSocket client."""

    def __init__(self, app: WorkerApp, *, can_refuse: bool = True) -> None:
        self.app = app
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/x",
            "raw_path": b"/x",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"upgrade", b"websocket")],
            "extensions": {"websocket.http.response": {}} if can_refuse else {},
        }
        self.to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.to_app.put_nowait({"type": "websocket.connect"})
        self.sent: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def types(self) -> list[str]:
        return [each["type"] for each in self.sent]

    async def run(self) -> None:
        await self.app(self.scope, self.to_app.get, self.send)


@styles
async def test_messages_go_through(tmp_path: Path, style: str) -> None:
    app, recorder = make_app(tmp_path, HEAD + ECHO + style, env={"NAME": "env"})
    one = Socket(app)
    one.to_app.put_nowait({"type": "websocket.receive", "text": "hello"})
    one.to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await one.run()
    assert one.sent[1:] == [{"type": "websocket.send", "text": "HELLO"}]
    assert recorder.failures == []
    (finished,) = recorder.finished
    assert (finished.method, finished.path, finished.status, finished.outcome) == ("GET", "/x", 101, "ok")
    await app.drain(10)


@styles
async def test_drain_ends_a_websocket_that_stays(tmp_path: Path, style: str) -> None:
    app, recorder = make_app(tmp_path, HEAD + ECHO + style, env={"NAME": "env"})
    one = Socket(app)
    task = asyncio.get_running_loop().create_task(one.run())
    while "websocket.accept" not in one.types:
        await asyncio.sleep(0)
    assert app.in_flight == 1
    assert await app.drain(0) == (1, 0)
    await task
    assert one.sent[-1] == {"type": "websocket.close", "code": 1001}
    assert recorder.failures == []


@styles
async def test_failure_in_an_accepted_websocket(tmp_path: Path, style: str) -> None:
    app, recorder = make_app(tmp_path, HEAD + ECHO.replace('["text"]', '["no"]') + style, env={"NAME": "env"})
    one = Socket(app)
    one.to_app.put_nowait({"type": "websocket.receive", "text": "hello"})
    await one.run()
    assert one.sent[-1] == {"type": "websocket.close", "code": 1011}
    assert [(each.where, each.report.type) for each in recorder.failures] == [("websocket", "KeyError")]
    await app.drain(10)


@styles
@pytest.mark.parametrize("can_refuse", [True, False])
async def test_failure_before_it_is_accepted(tmp_path: Path, style: str, can_refuse: bool) -> None:
    app, recorder = make_app(tmp_path, f"{HEAD}async def app(scope, receive, send): raise ValueError('x')\n{style}")
    one = Socket(app, can_refuse=can_refuse)
    await one.run()
    if can_refuse:
        assert one.types == ["websocket.http.response.start", "websocket.http.response.body"]
        assert one.sent[0]["status"] == 500
    else:
        assert one.types == ["websocket.close"]
    assert len(recorder.failures) == 1
    await app.drain(10)


REFUSALS = {
    "text": "return Response('no', status=426)",
    "stream": "async def chunks():\n    yield b'n'\n    yield b'o'\n  return Response(chunks(), status=426)",
}


@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("can_refuse", [True, False])
async def test_response_instead_of_a_websocket(tmp_path: Path, body: str, can_refuse: bool) -> None:
    app, recorder = make_app(tmp_path, f"{HEAD}async def on_fetch(request):\n  {body}")
    one = Socket(app, can_refuse=can_refuse)
    await one.run()
    if can_refuse:
        assert one.sent[0]["status"] == 426
        assert b"".join(each.get("body", b"") for each in one.sent) == b"no"
    else:
        assert one.types == ["websocket.close"]
    assert recorder.failures == []


async def test_request_of_the_handshake(tmp_path: Path) -> None:
    seen: list[object] = []
    source = (
        f"{HEAD}async def on_fetch(request, env):\n"
        "  env.SEEN.extend([request.method, request.url, request.headers['upgrade'], await request.text()])\n"
        "  return Response('')"
    )
    app, _ = make_app(tmp_path, source, env={"SEEN": seen})
    await Socket(app).run()
    assert seen == ["GET", "http://localhost/x", "websocket", ""]


async def test_worker_without_a_fetch_handler(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, "def on_scheduled(): ...")
    await Socket(app).run()
    assert 'does not export a handler named "on_fetch"' in recorder.failures[0].report.message
