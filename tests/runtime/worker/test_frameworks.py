"""FastAPI, Flask and Django, unmodified, behind the real server."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from tests.runtime.worker.served import serving

if TYPE_CHECKING:
    from pathlib import Path

FASTAPI = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from longshore.workers import asgi, wait_until, env

@asynccontextmanager
async def lifespan(app):
    app.state.log = ["up"]
    yield {"greeting": "hello"}
    LOG.append("down")

LOG = []
app = FastAPI(lifespan=lifespan)

@app.get("/items/{number}")
async def item(number: int, request: Request, bindings=asgi.env):
    scope = request.scope["env"].NAME
    return {"number": number, "greeting": request.state.greeting, "env": bindings.NAME, "scope": scope}

@app.post("/upload")
async def upload(request: Request):
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
    return total

@app.get("/stream")
async def stream(request: Request):
    async def rows():
        for n in range(3):
            yield f"{n}\\n"
            await asyncio.sleep(0)
    return StreamingResponse(rows())

@app.get("/endless")
async def endless(request: Request):
    async def rows():
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            request.scope["env"].CLOSED.set()
    return StreamingResponse(rows())

@app.get("/background")
async def background(request: Request, tasks: BackgroundTasks):
    tasks.add_task(request.scope["env"].LOG.append, "background")
    async def later(): request.scope["env"].LOG.append("wait_until")
    wait_until(later())
    return "ok"

@app.get("/boom")
async def boom():
    raise ValueError("the secret")

@app.websocket("/echo")
async def echo(ws: WebSocket):
    await ws.accept()
    while True:
        text = await ws.receive_text()
        if text == "end": break
        if text == "fail": raise ValueError("failed")
        await ws.send_text(text.upper())
    await ws.close(code=1000)
"""

ASGI_STYLES = {
    "main": "",
    "entrypoint": "Default = asgi.entrypoint(app)",
    "handler": """
from longshore.workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.headers.get("Upgrade") == "websocket":
            return await asgi.websocket(app, request, self.env)
        return await asgi.fetch(app, request, self.env)
""",
}

asgi_styles = pytest.mark.parametrize("style", ASGI_STYLES.values(), ids=ASGI_STYLES)


@asgi_styles
async def test_fastapi(tmp_path: Path, style: str) -> None:
    env = {"NAME": "env", "LOG": []}
    async with serving(tmp_path, FASTAPI + style, env=env) as worker, httpx.AsyncClient(base_url=worker.url) as http:
        item = await http.get("/items/7")
        assert item.json() == {"number": 7, "greeting": "hello", "env": "env", "scope": "env"}
        assert (await http.get("/items/x")).status_code == 422
        assert (await http.get("/none")).status_code == 404
        assert (await http.post("/upload", content=b"x" * 300_000)).json() == 300_000
        assert (await http.get("/stream")).text == "0\n1\n2\n"
        assert (await http.get("/background")).json() == "ok"
        await worker.app.drain(10)
        assert sorted(env["LOG"]) == ["background", "wait_until"]
    assert worker.recorder.failures == []


@asgi_styles
async def test_fastapi_failure(tmp_path: Path, style: str) -> None:
    async with serving(tmp_path, FASTAPI + style) as worker, httpx.AsyncClient(base_url=worker.url) as http:
        answer = await http.get("/boom")
        assert answer.status_code == 500
        assert "secret" not in answer.text
    assert [each.report.message for each in worker.recorder.failures] == ["the secret"]


@pytest.mark.parametrize("style", [ASGI_STYLES["main"], ASGI_STYLES["entrypoint"]])
async def test_fastapi_failure_in_development_shows_the_page(tmp_path: Path, style: str) -> None:
    async with (
        serving(tmp_path, FASTAPI + style, is_dev=True) as worker,
        httpx.AsyncClient(base_url=worker.url) as http,
    ):
        browser = await http.get("/boom", headers={"accept": "text/html"})
        curl = await http.get("/boom")
    assert (browser.status_code, curl.status_code) == (500, 500)
    assert browser.text.startswith("<!doctype html>")
    assert "raise ValueError(&quot;the secret&quot;)" in browser.text
    assert curl.text.endswith("ValueError: the secret\n")


@asgi_styles
async def test_fastapi_client_that_leaves(tmp_path: Path, style: str) -> None:
    closed = asyncio.Event()
    async with serving(tmp_path, FASTAPI + style, env={"CLOSED": closed}) as worker:
        async with httpx.AsyncClient(base_url=worker.url) as http, http.stream("GET", "/endless") as answer:
            async for _ in answer.aiter_raw():
                break
        while not closed.is_set():
            await asyncio.sleep(0)
            gc.collect()  # Starlette leaves the generator to it
    assert worker.recorder.failures == []


@asgi_styles
async def test_fastapi_websocket(tmp_path: Path, style: str) -> None:
    async with serving(tmp_path, FASTAPI + style) as worker, websocket(f"ws://127.0.0.1:{worker.port}/echo") as ws:
        await ws.send("hello")
        assert await ws.recv() == "HELLO"
        await ws.send("end")
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
    (finished,) = worker.recorder.finished
    assert (finished.path, finished.status, finished.outcome) == ("/echo", 101, "ok")


@asgi_styles
async def test_fastapi_websocket_that_fails(tmp_path: Path, style: str) -> None:
    async with serving(tmp_path, FASTAPI + style) as worker, websocket(f"ws://127.0.0.1:{worker.port}/echo") as ws:
        await ws.send("fail")
        await ws.wait_closed()
        assert ws.close_code == 1011
    (failure,) = worker.recorder.failures
    assert (failure.where, failure.subject, failure.report.message) == ("websocket", "GET /echo", "failed")


@asgi_styles
async def test_fastapi_websocket_without_a_route(tmp_path: Path, style: str) -> None:
    async with serving(tmp_path, FASTAPI + style) as worker:
        with pytest.raises(InvalidStatus) as caught:
            await websocket(f"ws://127.0.0.1:{worker.port}/none")
    assert caught.value.response.status_code == 403


async def test_websocket_to_a_worker_that_answers_otherwise(tmp_path: Path) -> None:
    source = "from longshore.workers import *\ndef on_fetch(): return Response('no socket here', status=426)"
    async with serving(tmp_path, source) as worker:
        with pytest.raises(InvalidStatus) as caught:
            await websocket(f"ws://127.0.0.1:{worker.port}/x")
    assert (caught.value.response.status_code, caught.value.response.body) == (426, b"no socket here")
    text = "/x was asked for a WebSocket, and the fetch handler answered with status 426"
    assert any(text in getattr(each, "text", "") for each in worker.recorder.messages)


async def test_websocket_to_a_worker_that_fails(tmp_path: Path) -> None:
    async with serving(tmp_path, "def on_fetch(): raise ValueError('x')") as worker:
        with pytest.raises(InvalidStatus) as caught:
            await websocket(f"ws://127.0.0.1:{worker.port}/x")
    assert caught.value.response.status_code == 500
    assert [each.where for each in worker.recorder.failures] == ["websocket"]


# -- Flask ----------------------------------------------------------------------------------------

FLASK = """
from flask import Flask, Response, request, stream_with_context

app = Flask("site")

@app.get("/hello/<name>")
def hello(name):
    return {"name": name, "env": request.environ["workers.env"].NAME, "q": request.args.get("q")}

@app.post("/upload")
def upload():
    return str(len(request.get_data()))

@app.get("/stream")
def stream():
    return Response(f"{n}\\n" for n in range(3))

@app.get("/endless")
def endless():
    env = request.environ["workers.env"]
    def rows():
        try:
            while True:
                yield b"x" * 1000
        finally:
            env.CLOSED.set()
    return Response(rows())
"""

WSGI_STYLES = {
    "main": "",
    "entrypoint": "from longshore.workers import wsgi\nDefault = wsgi.entrypoint(app)",
    "handler": (
        "from longshore.workers import WorkerEntrypoint, wsgi\nclass Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request): return await wsgi.fetch(app, request, self.env)"
    ),
}

wsgi_styles = pytest.mark.parametrize("style", WSGI_STYLES.values(), ids=WSGI_STYLES)


@wsgi_styles
async def test_flask(tmp_path: Path, style: str) -> None:
    async with (
        serving(tmp_path, FLASK + style, env={"NAME": "env"}) as worker,
        httpx.AsyncClient(base_url=worker.url) as http,
    ):
        assert (await http.get("/hello/you?q=1")).json() == {"name": "you", "env": "env", "q": "1"}
        assert (await http.get("/none")).status_code == 404
        assert (await http.post("/upload", content=b"x" * 300_000)).text == "300000"
        assert (await http.get("/stream")).text == "0\n1\n2\n"
        answers = await asyncio.gather(*(http.get(f"/hello/{n}") for n in range(20)))
        assert [each.json()["name"] for each in answers] == [str(n) for n in range(20)]
    assert worker.recorder.failures == []


@wsgi_styles
async def test_flask_client_that_leaves(tmp_path: Path, style: str) -> None:
    closed = threading.Event()
    async with serving(tmp_path, FLASK + style, env={"CLOSED": closed}) as worker:
        async with httpx.AsyncClient(base_url=worker.url) as http, http.stream("GET", "/endless") as answer:
            async for _ in answer.aiter_raw():
                break
        await asyncio.to_thread(closed.wait, 30)
        assert closed.is_set()


# -- Django ---------------------------------------------------------------------------------------

DJANGO = """
import django
from django.conf import settings
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

if not settings.configured:
    settings.configure(
        ROOT_URLCONF="urls_of_test_frameworks", ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None, USE_TZ=True
    )
    django.setup()

def hello(request, name):
    bindings = request.scope["env"] if hasattr(request, "scope") else request.META["workers.env"]
    return JsonResponse({"name": name, "env": bindings.NAME})

async def slow(request):
    import asyncio
    await asyncio.sleep(0)
    return HttpResponse("slow")

def upload(request):
    return HttpResponse(str(len(request.body)))

upload.csrf_exempt = True

import sys, types
urls = sys.modules["urls_of_test_frameworks"] = types.ModuleType("urls_of_test_frameworks")
urls.urlpatterns = [path("hello/<name>", hello), path("slow", slow), path("upload", upload)]
"""

DJANGO_STYLES = {
    "asgi": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()",
    "wsgi": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()",
}


@pytest.mark.parametrize("style", DJANGO_STYLES.values(), ids=DJANGO_STYLES)
async def test_django(tmp_path: Path, style: str) -> None:
    async with (
        serving(tmp_path, DJANGO + style, env={"NAME": "env"}, attribute="application") as worker,
        httpx.AsyncClient(base_url=worker.url) as http,
    ):
        assert (await http.get("/hello/you")).json() == {"name": "you", "env": "env"}
        assert (await http.get("/slow")).text == "slow"
        assert (await http.get("/none")).status_code == 404
        assert (await http.post("/upload", content=b"x" * 300_000)).text == "300000"
    assert worker.recorder.failures == []
