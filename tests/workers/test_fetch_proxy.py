"""A worker that passes requests on with ``fetch()``: bodies stream both ways, what belongs to one hop stays there."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx

from longshore.workers import Response, fetch
from longshore.workers._fetch import aclose_fetch_clients
from longshore.workers._request import Request, incoming_request
from tests.workers.test_fetch_body import CHUNKS, MEBIBYTE
from tests.workers.web import BIG_CHUNK, Web, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Proxy:
    """An ASGI application around one handler, as small as can be."""

    def __init__(self, handle: Callable[[Request], Awaitable[Response]]) -> None:
        self._handle = handle

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = await self._handle(incoming_request(scope, receive))
        status, headers, payload = response.wire()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(payload, bytes):
            await send({"type": "http.response.body", "body": payload})
            return
        async for chunk in payload:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})


async def test_a_request_is_passed_on_unchanged() -> None:
    """It goes where its ``Host`` says, as in a reverse proxy that keeps the name."""
    async with serving(Web()) as origin, serving(Proxy(fetch)) as proxy, httpx.AsyncClient() as client:
        host = origin.removeprefix("http://")
        headers = {"host": host, "x-mine": "1", "connection": "keep-alive, x-hop", "x-hop": "no"}
        answer = await client.post(f"{proxy}/echo?a=b%20c", content=b"payload", headers=headers)
        assert answer.content == b"payload"
        sent = json.loads(answer.headers["x-sent"])
        assert (sent["host"], sent["x-mine"], sent["content-length"]) == (host, "1", "7")
        assert "x-hop" not in sent
        assert (await client.get(f"{proxy}/status/404", headers={"host": host})).status_code == 404
        await aclose_fetch_clients()


async def test_a_redirect_is_passed_on_and_not_followed() -> None:
    async with serving(Web()) as origin, serving(Proxy(fetch)) as proxy, httpx.AsyncClient() as client:
        answer = await client.get(f"{proxy}/to/302?/hello", headers={"host": origin.removeprefix("http://")})
        assert (answer.status_code, answer.headers["location"]) == (302, "/hello")
        await aclose_fetch_clients()


async def test_cookies_and_encodings_pass_through() -> None:
    async with serving(Web()) as origin, serving(Proxy(fetch)) as proxy, httpx.AsyncClient() as client:
        host = {"host": origin.removeprefix("http://")}
        answer = await client.get(f"{proxy}/cookies", headers=host)
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2; Path=/"]
        answer = await client.get(f"{proxy}/gzip", headers={**host, "accept-encoding": "gzip"})
        assert answer.content == b"packed " * 1000
        assert answer.headers["content-encoding"] == "gzip"
        await aclose_fetch_clients()


async def test_long_bodies_go_through_in_bounded_memory() -> None:
    app = Web()

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield BIG_CHUNK

    async with serving(app) as origin:

        async def pass_on(request: Request) -> Response:
            return await fetch(
                f"{origin}{request.path}", method=request.method, headers=request.headers, body=request.body
            )

        async with serving(Proxy(pass_on)) as proxy, httpx.AsyncClient(timeout=None) as client:
            await client.get(f"{proxy}/hello")  # imports what there is to import
            tracemalloc.start()
            try:
                size = CHUNKS * len(BIG_CHUNK)
                answer = await client.post(f"{proxy}/count", content=upload())
                assert answer.text == str(size)
                answer = await client.post(f"{proxy}/count", content=upload(), headers={"content-length": str(size)})
                assert answer.text == str(2 * size)
                count = 0
                async with client.stream("GET", f"{proxy}/stream/{CHUNKS}") as answer:
                    async for chunk in answer.aiter_bytes():
                        count += len(chunk)
                assert count == size
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 8 * MEBIBYTE
            await aclose_fetch_clients()
