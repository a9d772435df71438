"""Requests and responses through a real server, by a real client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from longshore.errors import ResetError
from longshore.workers._blob import File
from longshore.workers._request import Request, incoming_request
from longshore.workers._response import Response
from tests.workers.web import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MEGABYTE = bytes(range(256)) * 4096


def application(handler: Callable[[Request], Awaitable[Response]]) -> Any:
    """Return the smallest ASGI application that serves ``handler``."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        status, headers, payload = (await handler(incoming_request(scope, receive))).wire()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(payload, bytes):
            await send({"type": "http.response.body", "body": payload})
            return
        async for chunk in payload:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    return app


async def test_what_a_handler_sees() -> None:
    async def handler(request: Request) -> Response:
        assert request.client is not None
        seen = {
            "method": request.method,
            "url": request.url,
            "path": request.path,
            "query": request.query,
            "x": request.headers.get_all("X-A"),
            "client": request.client[0],
            "body": await request.text(),
        }
        return Response.json(seen, headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")])

    async with serving(application(handler)) as url, httpx.AsyncClient() as client:
        headers = [("x-a", "1"), ("X-A", "2")]
        answer = await client.patch(f"{url}/a%20b?x=%C3%A9", content="é".encode(), headers=headers)
        assert answer.json() == {
            "method": "PATCH",
            "url": f"{url}/a%20b?x=%C3%A9",
            "path": "/a b",
            "query": [["x", "é"]],
            "x": ["1, 2"],
            "client": "127.0.0.1",
            "body": "é",
        }
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_form_of_httpx() -> None:
    async def handler(request: Request) -> Response:
        form = await request.form_data()
        file = form["file"]
        assert isinstance(file, File)
        assert (file.name, file.content_type, file.data) == ('x"y.bin', "application/x-thing", MEGABYTE)
        return Response(str(form["text"]))

    async with serving(application(handler)) as url, httpx.AsyncClient() as client:
        files = {"file": ('x"y.bin', MEGABYTE, "application/x-thing")}
        answer = await client.post(url, data={"text": "é\r\n"}, files=files)
        assert answer.text == "é\r\n"
        answer = await client.post(url, data={"text": "é"})
        assert answer.status_code == 500


async def test_form_to_httpx() -> None:
    """What ``Response(form)`` sends comes back as the same form."""

    async def handler(request: Request) -> Response:
        return Response(await request.form_data())

    async with serving(application(handler)) as url, httpx.AsyncClient() as client:
        first = await client.post(url, data={"a": "1"}, files={"f": ("n", b"xyz", "text/x")})
        second = await client.post(url, content=first.content, headers={"content-type": first.headers["content-type"]})
        assert b"xyz" in second.content
        assert second.headers["content-type"].startswith("multipart/form-data")


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_body_echoed_while_it_arrives(is_chunked: bool) -> None:
    """The client reads and writes at the same time: neither side holds more than what is under way."""

    async def handler(request: Request) -> Response:
        return Response(request.body)

    async with serving(application(handler)) as url:
        reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {8 * len(MEGABYTE)}"
        writer.write(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())

        async def upload() -> None:
            for _ in range(8):
                writer.write(b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE) if is_chunked else MEGABYTE)
                await writer.drain()
            writer.write(b"0\r\n\r\n" if is_chunked else b"")

        uploading = asyncio.create_task(upload())
        head = await reader.readuntil(b"\r\n\r\n")
        assert (b"\r\ncontent-length: 8388608\r\n" in head) is not is_chunked
        body = await read_chunks(reader) if is_chunked else await reader.readexactly(8 * len(MEGABYTE))
        assert body == MEGABYTE * 8
        await uploading
        writer.close()
        await writer.wait_closed()


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int(await reader.readline(), 16):
        chunks.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(chunks)


async def test_the_client_is_asked_for_the_body_when_somebody_reads_it() -> None:
    """``Expect: 100-continue``: who refuses by the headers alone never gets the upload."""

    async def handler(request: Request) -> Response:
        return Response(await request.text()) if request.path == "/read" else Response("no", 403)

    async def ask(url: str, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n".encode("latin-1")
        )
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return line

    async with serving(application(handler)) as url:
        assert await ask(url, "/read") == b"HTTP/1.1 100 Continue\r\n"
        assert await ask(url, "/refuse") == b"HTTP/1.1 403 Forbidden\r\n"


async def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    found: asyncio.Queue[BaseException | None] = asyncio.Queue()

    async def handler(request: Request) -> Response:
        assert request.body is not None
        assert await request.body.read() == b"abc"
        try:
            await request.body.read()
        except OSError as exc:
            found.put_nowait(exc)
        else:
            found.put_nowait(None)
        return Response("nobody hears this")

    async with serving(application(handler)) as url:
        reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        error = await found.get()
        assert isinstance(error, ResetError)
        assert str(error) == "the client left after 3 of 10 bytes of the request body"
        assert await reader.read() == b""
