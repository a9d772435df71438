"""Clients that stop in the middle of their body: ``serve.body_timeout_s``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.runtime.worker.served import serving
from tests.runtime.worker.test_http_rules import client, get

if TYPE_CHECKING:
    from pathlib import Path

POST = get("/", "content-length: 10", method="POST") + "begin"

SDK = "from longshore.workers import Response\nasync def on_fetch(request):\n"

READERS = {
    "SDK": f"{SDK}  return Response(await request.bytes())",
    "ASGI": (
        "async def app(scope, receive, send):\n"
        "  if scope['type'] == 'http':\n"
        "    while (await receive()).get('more_body'): pass\n"
    ),
    "ASGI that answers errors itself": (
        "async def app(scope, receive, send):\n"
        "  if scope['type'] == 'http':\n"
        "    try:\n"
        "      while (await receive()).get('more_body'): pass\n"
        "    except OSError:\n"
        "      await send({'type': 'http.response.start', 'status': 500})\n"
        "      await send({'type': 'http.response.body', 'body': b'no'})\n"
        "      raise\n"
    ),
    "WSGI": (
        "def app(environ, start_response):\n"
        "  environ['wsgi.input'].read()\n"
        "  start_response('200 OK', [])\n"
        "  return [b'']\n"
    ),
}


@pytest.mark.parametrize("is_dev", [True, False])
@pytest.mark.parametrize("source", READERS.values(), ids=READERS)
async def test_the_client_is_told(tmp_path: Path, source: str, is_dev: bool) -> None:
    async with (
        serving(tmp_path, source, body_timeout_s=0.05, is_dev=is_dev) as worker,
        client(worker.port) as (reader, writer),
    ):
        writer.write(POST.encode())
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer
    assert worker.recorder.failures == []
    assert [(each.status, each.outcome) for each in worker.recorder.finished] == [(408, "ok")]


async def test_the_handler_may_answer(tmp_path: Path) -> None:
    source = (
        f"{SDK}  errors = []\n"
        "  for _ in range(2):\n"
        "    try:\n"
        "      await request.body.read(100)\n"
        "      await request.body.read(100)\n"
        "    except OSError as exc:\n"
        "      errors.append(f'{type(exc).__name__}: {exc}')\n"
        "  return Response('\\n'.join(errors), 422)"
    )
    async with serving(tmp_path, source, body_timeout_s=0.05) as worker, client(worker.port) as (reader, writer):
        writer.write(POST.encode())
        answer = await reader.readuntil(b"_s)\n")
        assert answer.startswith(b"HTTP/1.1 422 ")
        text = (
            "BodyTimeout: the client sent nothing for 0.05 s, after 5 bytes of the request body (serve.body_timeout_s)"
        )
        assert answer.endswith(f"\r\n\r\n{text}\n".encode())
        assert (await reader.readexactly(len(text))).decode() == text
    assert worker.recorder.failures == []


async def test_a_response_that_has_begun_is_cut(tmp_path: Path) -> None:
    source = f"{SDK}  return Response(request.body)"
    async with serving(tmp_path, source, body_timeout_s=0.05) as worker, client(worker.port) as (reader, writer):
        writer.write(POST.encode())
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nbegin")
    assert worker.recorder.failures == []
    assert worker.recorder.finished[0].outcome == "canceled"


@pytest.mark.parametrize("source", [READERS["SDK"], READERS["ASGI"]], ids=["SDK", "ASGI"])
async def test_zero_is_no_limit(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("there is a timer")

    async with serving(tmp_path, source, body_timeout_s=0.0) as worker, client(worker.port) as (_, writer):
        monkeypatch.setattr("longshore.workers._timed_receive.asyncio.timeout", refuse)
        writer.write(POST.encode())
        while not worker.app.in_flight:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert worker.app.in_flight == 1
        monkeypatch.undo()
    while not worker.recorder.finished:
        await asyncio.sleep(0)
    assert worker.recorder.finished[0].status != 408
