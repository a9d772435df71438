"""What HTTP demands of a server, over a real connection: framing, trailers, old clients, silent ones, pipelining."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.runtime.worker import server
from tests.runtime.worker.served import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SDK = """
import contextvars
from longshore.workers import Response
setting = contextvars.ContextVar("setting", default="unset")

async def chunks():
    yield b"one,"
    yield b"two"

async def on_fetch(request):
    match request.path:
        case "/length":
            return Response(None, headers={"content-length": "5"})
        case "/no-content":
            return Response(None, 204, headers={"content-length": "0"})
        case "/stream":
            return Response(chunks())
        case "/date":
            return Response(chunks(), headers={"date": "then"})
        case "/date-of-text":
            return Response("one", headers={"date": "then"})
        case "/set":
            setting.set("set by another request")
            await request.bytes()
            return Response("")
        case "/get":
            return Response(setting.get())
        case "/url":
            return Response(f"{request.url} {request.headers['host']}")
        case "/unread":
            return Response("early")
        case _:
            body = await request.text()
            return Response(f"{body} {sorted(request.headers)}")
"""

WAITS = """
import asyncio
async def on_fetch(request):
    await asyncio.Event().wait()
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one,", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})
"""


@asynccontextmanager
async def client(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def exchange(port: int, *requests: str) -> str:
    """Return all that a connection gives; the last request has to close it."""
    async with client(port) as (reader, writer):
        writer.write("".join(requests).encode())
        return (await reader.read()).decode()


def get(path: str, *headers: str, method: str = "GET") -> str:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *headers, "", ""])


LAST = get("/get", "connection: close")


async def test_a_length_without_a_body_is_told_to_head_only(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker:
        answers = await exchange(worker.port, get("/length"), get("/length", method="HEAD"), LAST)
    assert re.findall(r"content-length: (\d+)", answers) == ["0", "5", "5"]
    assert answers.endswith("\r\n\r\nunset")


async def test_no_content_has_no_length(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker:
        answers = await exchange(worker.port, get("/no-content"), LAST)
    assert "content-length" not in answers.partition("\r\n\r\n")[0]


@pytest.mark.parametrize(("source", "path"), [(SDK, "/stream"), (ASGI, "/")])
async def test_an_old_client_gets_no_chunks(tmp_path: Path, source: str, path: str) -> None:
    async with serving(tmp_path, source) as worker:
        head, _, body = (await exchange(worker.port, f"GET {path} HTTP/1.0\r\n\r\n")).partition("\r\n\r\n")
    assert "transfer-encoding" not in head
    assert body == "one,two"


@pytest.mark.parametrize("path", ["/date", "/date-of-text"])
async def test_a_response_has_one_date(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, SDK) as worker:
        answer = await exchange(worker.port, get(path, "connection: close"))
    assert re.findall(r"date: (.*)\r\n", answer) == ["then"]


async def test_trailers_are_no_headers(tmp_path: Path) -> None:
    head = get("/", "transfer-encoding: chunked", "connection: close", method="POST")
    async with serving(tmp_path, SDK) as worker:
        answer = await exchange(worker.port, head, "2\r\nhi\r\n0\r\nx-user: admin\r\n\r\n")
    assert answer.endswith("hi ['connection', 'host', 'transfer-encoding']")


async def test_a_pipelined_request_has_its_own_context(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker:
        answers = await exchange(worker.port, get("/set"), LAST)
    assert answers.endswith("\r\n\r\nunset")


async def test_a_request_whose_reading_was_paused_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    size = 300_000
    async with serving(tmp_path, SDK) as worker, client(worker.port) as (reader, writer):
        writer.write(get("/set", f"content-length: {size}", method="POST").encode() + b"x" * size)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(LAST.encode())
        assert (await reader.read()).endswith(b"unset")


@pytest.mark.parametrize(
    "pieces",
    [
        ["\r\n"],
        [get("/unread", "content-length: 4", method="POST") + "ab", "cd"],
        [get("/unread", "content-length: 4", method="POST") + "ab", "c"],
    ],
    ids=["line end", "body after the response", "half a body after the response"],
)
async def test_a_client_that_falls_silent_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[str]
) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.2)
    async with serving(tmp_path, SDK) as worker, client(worker.port) as (reader, writer):
        for piece in pieces:
            writer.write(piece.encode())
            if piece is not pieces[-1]:
                await reader.readuntil(b"early")
        async with asyncio.timeout(10):
            assert await reader.read() == b""


async def test_what_is_no_http_is_not_answered_in_the_place_of_another_request(tmp_path: Path) -> None:
    async with serving(tmp_path, WAITS) as worker:
        assert await exchange(worker.port, get("/"), "nonsense\r\n\r\n") == ""
        assert (await exchange(worker.port, "nonsense\r\n\r\n")).startswith("HTTP/1.1 400 ")


# -- what a request is for ------------------------------------------------------------------------

HELLO = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})
"""

BAD_HOSTS = {
    "GET / HTTP/1.1\r\n\r\n": "the request has no Host",
    "GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n": "the request has more than one Host",
    "GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n": "the request has more than one Host",
    "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n": "the Host of the request is not valid",
    "GET / HTTP/1.1\r\nhost: a b\r\n\r\n": "the Host of the request is not valid",
    "GET http://a/ HTTP/1.1\r\n\r\n": "the request has no Host",
    "GET https://a/ HTTP/1.1\r\nhost: a\r\n\r\n": "the scheme of the request target is not http",
    "GET http://user@a/ HTTP/1.1\r\nhost: a\r\n\r\n": "the request target has no valid host",
    "GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n": "the request has no Host",
}


@pytest.mark.parametrize("source", [SDK, HELLO], ids=["SDK", "ASGI"])
@pytest.mark.parametrize(("request_text", "why"), BAD_HOSTS.items(), ids=range(len(BAD_HOSTS)))
async def test_a_request_that_is_for_nothing_clear_is_refused(
    tmp_path: Path, source: str, request_text: str, why: str
) -> None:
    async with serving(tmp_path, source) as worker:
        answer = await exchange(worker.port, request_text)
        assert answer.startswith("HTTP/1.1 400 ")
        assert answer.endswith(f"\r\n\r\n{why}")
        assert worker.recorder.finished == []


async def test_a_second_request_with_a_bad_host_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker, client(worker.port) as (reader, writer):
        writer.write(get("/get").encode())
        await reader.readuntil(b"unset")
        writer.write(b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("host", ["", "a", "a:1", "[::1]:80", "xn--a_b.example.", "%41"])
async def test_any_host_of_the_right_form_is_served(tmp_path: Path, host: str) -> None:
    async with serving(tmp_path, SDK) as worker:
        answer = await exchange(worker.port, f"GET /get HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    assert answer.endswith("unset")


async def test_a_trailer_is_no_second_host(tmp_path: Path) -> None:
    head = get("/get", "transfer-encoding: chunked", method="POST")
    async with serving(tmp_path, SDK) as worker:
        answers = await exchange(worker.port, head, "2\r\nhi\r\n0\r\nhost: y\r\n\r\n", LAST)
    assert answers.count("unset") == 2


async def test_an_old_client_needs_no_host(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker:
        assert (await exchange(worker.port, "GET /get HTTP/1.0\r\n\r\n")).endswith("unset")


async def test_a_target_in_absolute_form_goes_before_the_host(tmp_path: Path) -> None:
    async with serving(tmp_path, SDK) as worker:
        answer = await exchange(worker.port, get("http://other:81/url?q=1#f", "connection: close"))
        assert answer.endswith("http://other:81/url?q=1 other:81")
        assert worker.recorder.finished[0].path == "/url?q=1"
        answer = await exchange(worker.port, get("HTTP://other", "connection: close"))
        assert answer.startswith("HTTP/1.1 200 ")
        assert worker.recorder.finished[1].path == "/"
