"""Bodies of responses to ``fetch()``: streaming, decoding, cancelling, and what becomes of their connections."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from longshore.sockets._readable import ReadableStream, source_of
from longshore.workers import Response, fetch
from longshore.workers._fetch import aclose_fetch_clients
from longshore.workers._fetch_body import CODINGS, FetchedBody
from tests.workers.test_fetch import web
from tests.workers.web import BIG_CHUNK, Web, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKS = 640
"""40 MiB of ``BIG_CHUNK``."""
MEBIBYTE = 1024 * 1024


async def gone(app: Web, count: int = 1) -> None:
    """Wait until ``count`` clients have left the application."""
    while app.left < count:
        await asyncio.sleep(0)


async def test_a_long_body_streams_in_bounded_memory() -> None:
    async with web() as (app, url):
        await (await fetch(f"{url}/hello")).bytes()  # imports what there is to import
        response = await fetch(f"{url}/stream/{CHUNKS}")
        assert response.body is not None
        total, peak = 0, 0
        tracemalloc.start()
        try:
            async for chunk in response.body:
                total += len(chunk)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert total == CHUNKS * len(BIG_CHUNK) == 40 * MEBIBYTE
        assert peak < 8 * MEBIBYTE
        assert await (await fetch(f"{url}/hello")).text() == "hello"
        assert len(app.clients) == 1, "the connection went back when the body was read"


async def test_a_long_upload_streams_in_bounded_memory() -> None:
    async def upload() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield BIG_CHUNK

    async with web() as (_, url):
        await (await fetch(f"{url}/hello")).bytes()  # imports what there is to import
        tracemalloc.start()
        try:
            response = await fetch(f"{url}/count", method="POST", body=upload())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert await response.text() == str(CHUNKS * len(BIG_CHUNK))
        assert peak < 8 * MEBIBYTE


async def test_a_reader_that_waits_holds_the_server_up() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/stream/{CHUNKS}")
        assert response.body is not None
        assert await response.body.read()
        before = -1
        while before != app.sent_bytes:
            before = app.sent_bytes
            await asyncio.sleep(0.02)  # nothing tells that a server has stopped
        assert app.sent_bytes < CHUNKS * len(BIG_CHUNK)
        await response.body.cancel()


async def test_a_body_from_one_server_goes_to_another() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/stream/64")
        answer = await fetch(f"{url}/count", method="POST", body=response.body)
        assert await answer.text() == str(64 * len(BIG_CHUNK))


# -- decoding ------------------------------------------------------------------------------------


async def test_an_encoded_body_is_decoded_and_its_headers_tell_so() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/gzip")
        assert "content-encoding" not in response.headers
        assert "content-length" not in response.headers
        assert await response.bytes() == b"packed " * 1000
        assert await (await fetch(f"{url}/hello")).text() == "hello"
        assert len(app.clients) == 1


async def test_a_bomb_comes_in_bearable_pieces() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/bomb")
        assert response.body is not None
        total, largest = 0, 0
        source = source_of(response.body)
        assert isinstance(source, FetchedBody)
        while chunk := await source.read(1 << 30):
            total += len(chunk)
            largest = max(largest, len(chunk))
        assert total == 64 * MEBIBYTE
        assert largest <= 5 * MEBIBYTE


async def test_a_body_that_is_not_what_its_header_says() -> None:
    class Lying(Web):
        async def on_gzip(self, scope: object, receive: object, answer: object) -> None:
            await answer(200, b"plain", {"content-encoding": "gzip"})  # type: ignore[operator]

    async with serving(Lying()) as url:
        response = await fetch(f"{url}/gzip")
        assert response.body is not None
        for _ in range(2):
            with pytest.raises(OSError, match="failed: "):
                await response.body.read()
        await aclose_fetch_clients()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (None, "deflate, gzip"),
        ("gzip;q=0.5, br;q=1, *", "gzip;q=0.5"),
        ("unknown", "identity"),
        ("identity", "identity"),
    ],
)
async def test_only_what_can_be_decoded_is_asked_for(asked: str | None, sent: str) -> None:
    if {"gzip", "deflate", "identity"} != CODINGS:
        pytest.skip("more decoders are installed here")
    async with web() as (_, url):
        response = await fetch(f"{url}/echo", headers={} if asked is None else {"accept-encoding": asked})
        assert f'"accept-encoding": "{sent}"' in response.headers["x-sent"]
        await response.bytes()


async def test_an_encoded_body_is_passed_on_as_it_is_to_a_client_that_takes_it() -> None:
    """The bytes are not decoded and encoded again; a client that did not ask gets them decoded."""
    async with web() as (_, url):
        for asked, is_encoded in (({"accept-encoding": "gzip"}, True), ({}, False)):
            for wrap in (lambda response: response, lambda response: Response(response.body, headers=response.headers)):
                response = wrap(await fetch(f"{url}/gzip", headers=asked))
                status, headers, payload = response.wire()
                assert status == 200
                assert isinstance(payload, ReadableStream)
                assert ((b"content-encoding", b"gzip") in headers) == is_encoded
                body = b"".join([chunk async for chunk in payload])
                assert (body[:2] == b"\x1f\x8b") == is_encoded
                lengths = [value for name, value in headers if name == b"content-length"]
                assert lengths == ([str(len(body)).encode()] if is_encoded else [])


async def test_a_body_of_known_length_frees_its_connection_with_its_last_byte() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/sized")
        assert response.body is not None
        assert await response.body.read(3) == b"siz"
        assert await response.body.read() == b"ed"
        assert await (await fetch(f"{url}/hello")).text() == "hello"
        assert len(app.clients) == 1
        assert await response.body.read() == b""
        await response.body.get_reader().closed


# -- connections ---------------------------------------------------------------------------------


async def test_cancelling_a_body_closes_its_connection() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/drip")
        assert response.body is not None
        assert await response.body.read() == b"first"
        await response.body.cancel("enough")
        await gone(app)
        assert await response.body.read() == b""


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_body_that_nobody_refers_to_closes_its_connection(is_read: bool) -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/drip")
        if is_read:
            assert response.body is not None
            assert await response.body.read() == b"first"
        del response
        gc.collect()
        await gone(app)


async def test_a_pending_read_keeps_a_body_alive() -> None:
    async with web() as (_, url):
        assert await (await fetch(f"{url}/hello")).body.read() == b"hello"  # type: ignore[union-attr]  # it has one
        gc.collect()


async def test_a_read_that_was_cancelled_loses_nothing() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/drip")
        assert response.body is not None
        assert await response.body.read(3) == b"fir"
        assert await response.body.read() == b"st"
        reading = asyncio.ensure_future(response.body.read())
        for _ in range(5):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert app.left == 0, "the connection is still there"
        await response.body.cancel()
        await gone(app)


async def test_a_stream_read_in_slices_with_cancellations_is_whole() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/stream/8")
        assert response.body is not None
        data = bytearray()
        while True:
            reading = asyncio.ensure_future(response.body.read(50_000))
            await asyncio.sleep(0)
            reading.cancel()
            try:
                piece = await reading
            except asyncio.CancelledError:
                piece = await response.body.read(50_000)
            if not piece:
                break
            data += piece
        assert data == BIG_CHUNK * 8


async def test_two_branches_of_a_body_get_everything() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/stream/4")
        copy = response.clone()
        assert await response.bytes() == BIG_CHUNK * 4
        assert await copy.bytes() == BIG_CHUNK * 4


async def test_closing_the_clients_ends_a_body_with_an_error() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/drip")
        assert response.body is not None
        assert await response.body.read() == b"first"
        await aclose_fetch_clients()
        with pytest.raises(OSError, match=r"."):
            await response.body.read()
        await gone(app)
