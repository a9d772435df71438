"""A head that the server refuses is answered with a 500, and not with a connection that is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.worker.served import serving
from tests.runtime.worker.test_http_rules import exchange, get

if TYPE_CHECKING:
    from pathlib import Path

SDK = """
from longshore.workers import Response

async def chunks():
    yield b"x"

def on_fetch(request):
    body = chunks() if request.path == "/stream" else "text"
    response = Response(body, headers={"x-a": "1"})
    if request.query:
        response._status = 999
    elif request.path == "/length":
        return Response(chunks(), headers={"content-length": "many"})
    else:
        response.headers._headers.append(("x-bad", "a\\x01b"))
    return response
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"x bad" if scope["path"] == "/name" else b"x-bad", b"a\\x01b")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
"""

WRONG = [
    (SDK, "/stream", "the header 'x-bad' of the response holds b'\\x01': control characters are not allowed"),
    (SDK, "/stream?status", "the response has the status 999, which HTTP does not have: use one from 200 to 599"),
    (SDK, "/?status", "the response has the status 999, which HTTP does not have: use one from 200 to 599"),
    (SDK, "/", "the header 'x-bad' of the response holds b'\\x01': control characters are not allowed"),
    (SDK, "/length", "invalid literal for int() with base 10: 'many'"),
    (ASGI, "/", "the header 'x-bad' of the response holds b'\\x01': control characters are not allowed"),
    (ASGI, "/name", "the response has a header named b'x bad', which is not allowed in HTTP"),
]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize(("source", "path", "message"), WRONG)
async def test_a_refused_head_is_a_500(tmp_path: Path, source: str, path: str, message: str, version: str) -> None:
    async with serving(tmp_path, source) as worker:
        answer = await exchange(worker.port, get(path, "connection: close").replace("1.1", version))
    assert answer.startswith("HTTP/1.1 500 ")
    assert answer.count("HTTP/1.1") == 1
    assert "transfer-encoding" not in answer
    assert [each.report.message for each in worker.recorder.failures] == [message]
    assert [(each.status, each.outcome) for each in worker.recorder.finished] == [(500, "error")]


async def test_the_connection_is_used_again(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker:
        answers = await exchange(worker.port, get("/stream"), get("/stream", "connection: close"))
    assert answers.count("HTTP/1.1 500 ") == 2
