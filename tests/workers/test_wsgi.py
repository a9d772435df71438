"""WSGI applications: as the worker itself, and called by a handler."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from longshore.workers import wsgi
from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    import weakref
    from pathlib import Path

HELLO = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("201 Created", [("X-Path", environ["PATH_INFO"]), ("Content-Type", "text/plain")])
    return [environ["workers.env"].NAME.encode(), b" ", body]
"""

# The three ways to run one.
STYLES = {
    "main": "",
    "entrypoint": "\nfrom longshore.workers import wsgi\nDefault = wsgi.entrypoint(app)",
    "handler": (
        "\nfrom longshore.workers import *\nfrom longshore.workers import wsgi\nclass Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request): return await wsgi.fetch(app, request, self.env)"
    ),
    "entrypoint called by hand": (
        "\nfrom longshore.workers import *\nfrom longshore.workers import wsgi\nApi = wsgi.entrypoint(app)\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request): return await Api(self.ctx, self.env).fetch(request)"
    ),
}


async def settled() -> None:
    """Wait until what runs in threads has come back to the loop."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


styles = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)


@styles
async def test_request_and_response(tmp_path: Path, style: str) -> None:
    app, recorder = make_app(tmp_path, HELLO + style, env={"NAME": "env"})
    one = await call(app, "/a%20b", "POST", body=(b"bo", b"dy"))
    assert (one.status, one.text) == (201, "env body")
    assert one.headers["x-path"] in ("/a b", "/a%20b")  # the driver does not decode paths
    assert recorder.failures == []
    assert recorder.finished[0].status == 201
    await settled()


@styles
async def test_failure(tmp_path: Path, style: str) -> None:
    app, recorder = make_app(tmp_path, "def app(environ, start_response): raise ValueError('x')" + style)
    one = await call(app)
    assert one.status == 500
    assert [each.report.message for each in recorder.failures] == ["x"]
    assert "a2wsgi" not in recorder.failures[0].report.text
    await settled()


@styles
async def test_chunks_are_sent_as_they_come(tmp_path: Path, style: str) -> None:
    gate = threading.Event()
    source = (
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    yield b'one'\n"
        "    environ['workers.env'].GATE.wait(30)\n    yield b'two'\n"
    )
    app, _ = make_app(tmp_path, source + style, env={"GATE": gate})
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    assert one.chunks == [b"one"]
    gate.set()
    await task
    assert (one.body, one.is_complete) == (b"onetwo", True)
    await settled()


ENDLESS = """
class Chunks:
    def __init__(self, env): self.env = env
    def __iter__(self): return self
    def __next__(self): return b"x" * 1000
    def close(self): self.env.CLOSED.set()

def app(environ, start_response):
    start_response("200 OK", [])
    return Chunks(environ["workers.env"])
"""


@styles
async def test_client_that_leaves_ends_the_iterable(tmp_path: Path, style: str) -> None:
    closed = threading.Event()
    app, recorder = make_app(tmp_path, ENDLESS + style, env={"CLOSED": closed})
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    one.leave()
    await task
    await asyncio.to_thread(closed.wait, 30)
    assert closed.is_set()
    assert await app.drain(30) == (0, 0)
    assert recorder.failures == []
    await settled()


@styles
async def test_drain_leaves_no_thread_behind(tmp_path: Path, style: str) -> None:
    """A thread that waits for its chunk to be taken would wait for ever."""
    closed = threading.Event()
    app, _ = make_app(tmp_path, ENDLESS + style, env={"CLOSED": closed})
    one = Call(app)
    task = one.start()
    await one.got_body.wait()
    one.may_take.clear()
    assert (await app.drain(0))[0] == 1
    one.may_take.set()
    await task
    await asyncio.to_thread(closed.wait, 30)
    assert closed.is_set()
    assert not one.is_complete
    await settled()


@styles
async def test_wait_until_in_the_thread(tmp_path: Path, style: str) -> None:
    log: list[str] = []
    source = (
        "from longshore.workers import wait_until\n"
        "async def work(env): env.LOG.append('done')\n"
        "def app(environ, start_response):\n    wait_until(work(environ['workers.env']))\n"
        "    start_response('200 OK', [])\n    return [b'x']\n"
    )
    app, _ = make_app(tmp_path, source + style, env={"LOG": log})
    assert (await call(app)).text == "x"
    assert await app.drain(30) == (0, 0)
    assert log == ["done"]


async def test_lifespan_and_websocket_of_a_wsgi_application(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, HELLO)
    sent: list[str] = []
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, str]:
        return incoming.pop(0)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    await app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


def test_options() -> None:
    assert wsgi.Options().encode_body == "automatic"


def test_application_is_adapted_once() -> None:
    def app(environ: object, start_response: object) -> list[bytes]:
        return []

    assert wsgi.as_asgi(app) is wsgi.as_asgi(app)


async def test_applications_made_for_one_request_leave_nothing(tmp_path: Path) -> None:
    made: list[weakref.ref[object]] = []
    source = (
        "import weakref\nfrom longshore.workers import *\nfrom longshore.workers import wsgi\n"
        "def make():\n"
        "    def app(environ, start_response):\n        start_response('200 OK', [])\n        return [b'x']\n"
        "    return app\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n        app = make()\n        self.env.MADE.append(weakref.ref(app))\n"
        "        return await wsgi.fetch(app, request, self.env)\n"
    )
    app, _ = make_app(tmp_path, source, env={"MADE": made})
    for _ in range(2 * wsgi.MAX_THREADS):
        assert (await call(app)).text == "x"
    await settled()
    gc.collect()
    threads = [each for each in threading.enumerate() if each.name.startswith("WSGI")]
    assert len(threads) <= wsgi.MAX_THREADS
    assert sum(reference() is not None for reference in made) <= len(
        threads
    )  # a thread keeps its last work for a while


@styles
async def test_wait_until_in_a_loop_of_the_thread(tmp_path: Path, style: str) -> None:
    """The loop of an async view ends with the view; the work belongs to the worker's."""
    log: list[str] = []
    source = (
        "import asyncio\nfrom longshore.workers import wait_until\n"
        "async def work(env):\n    await asyncio.sleep(0.01)\n    env.LOG.append('done')\n"
        "async def view(env):\n    wait_until(work(env))\n"
        "def app(environ, start_response):\n    asyncio.run(view(environ['workers.env']))\n"
        "    start_response('200 OK', [])\n    return [b'x']\n"
    )
    app, recorder = make_app(tmp_path, source + style, env={"LOG": log})
    assert (await call(app)).text == "x"
    assert await app.drain(30) == (0, 0)
    assert log == ["done"]
    assert recorder.failures == []


async def test_a_client_that_leaves_in_mid_body_is_no_end_of_the_body() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    errors: list[OSError] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as exc:
            errors.append(exc)
        start_response("200 OK", [])
        return []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_message: dict[str, Any]) -> None:
        return

    scope = Call(app, method="POST", body=(b"half",)).scope
    await wsgi.as_asgi(app)(scope, receive, send)
    assert [str(error) for error in errors] == ["the client left before the end of the request body"]
