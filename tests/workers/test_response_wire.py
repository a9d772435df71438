"""``Response.wire()``: what a server is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.sockets._readable import ReadableStream
from longshore.workers._blob import Blob
from longshore.workers._response import Response
from longshore.workers._sources import PulledSource
from tests.loopback import linked
from tests.workers.asgi_client import incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEXT = (b"content-type", b"text/plain;charset=UTF-8")


async def pieces(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


def length(count: int) -> tuple[bytes, bytes]:
    return b"content-length", str(count).encode()


@pytest.mark.parametrize(
    ("response", "wire"),
    [
        (Response("hi"), (200, [TEXT, length(2)], b"hi")),
        (Response("é" * 600), (200, [TEXT, length(1200)], "é".encode() * 600)),
        (Response(b""), (200, [length(0)], b"")),
        (Response(), (200, [length(0)], b"")),
        (Response(None, 404), (404, [length(0)], b"")),
        (Response(None, 204), (204, [], b"")),
        (Response(None, 205), (205, [length(0)], b"")),
        (Response(Blob("x", "image/png")), (200, [(b"content-type", b"image/png"), length(1)], b"x")),
        (Response.json({}), (200, [(b"content-type", b"application/json"), length(2)], b"{}")),
        (
            Response("x", headers={"Content-Type": "text/html", "X-A": 1}),
            (200, [(b"content-type", b"text/html"), (b"x-a", b"1"), length(1)], b"x"),
        ),
        (Response("x", headers={"x-a": "1"}), (200, [(b"x-a", b"1"), TEXT, length(1)], b"x")),
    ],
)
def test_known_bodies(response: Response, wire: tuple[int, list[tuple[bytes, bytes]], bytes]) -> None:
    assert response.wire() == wire


def test_a_response_of_bytes_may_be_sent_again() -> None:
    response = Response("x")
    assert response.wire() == response.wire()


async def test_a_body_that_was_read_is_not_sent() -> None:
    response = Response("x")
    await response.text()
    with pytest.raises(OSError, match=r"^Body already used$"):
        response.wire()


def test_what_is_done_to_the_headers_is_sent() -> None:
    response = Response("x", headers={"x-a": "1"})
    response.headers["X-B"] = "2"
    response.headers.append("x-a", "3")
    del response.headers["content-type"]
    assert response.wire()[1] == [(b"x-a", b"1, 3"), (b"x-b", b"2"), length(1)]


def test_cookies_are_sent_one_by_one() -> None:
    response = Response("x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert response.wire()[1] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), TEXT, length(1)]


@pytest.mark.parametrize("header", ["content-length", "Transfer-Encoding"])
def test_the_length_of_bytes_is_not_a_matter_of_opinion(header: str) -> None:
    """Two lengths, or a length and a transfer coding, are how requests are smuggled."""
    assert Response("x", headers={header: "7"}).wire()[1] == [TEXT, length(1)]
    response = Response("x")
    response.headers[header] = "7"
    assert response.wire()[1] == [TEXT, length(1)]


def test_an_answer_to_head_may_say_a_length() -> None:
    assert Response(None, headers={"content-length": "7"}).wire()[1] == [length(7)]


async def test_stream_of_unknown_length() -> None:
    async with linked() as (socket, peer):
        status, headers, payload = Response(socket.readable, headers={"transfer-encoding": "gzip"}).wire()
        assert (status, headers) == (200, [])
        assert payload is socket.readable
        await peer.send_eof()


async def test_length_that_the_worker_knows_of_a_stream() -> None:
    response = Response(pieces("abc"), headers={"content-length": "3"})
    _, headers, payload = response.wire()
    assert headers == [length(3)]
    assert not isinstance(payload, (bytes, ReadableStream))
    assert [chunk async for chunk in payload] == [b"abc"]


async def test_a_stream_is_taken_once() -> None:
    response = Response(pieces("abc"))
    response.wire()
    with pytest.raises(OSError, match=r"^Body already used$"):
        response.wire()


async def test_a_locked_body_is_not_sent() -> None:
    response = Response(pieces("abc"))
    assert response.body is not None
    reader = response.body.get_reader()
    with pytest.raises(OSError, match="locked to a reader"):
        response.wire()
    reader.release_lock()


async def test_body_of_a_request_keeps_its_length() -> None:
    _, headers, payload = Response(incoming(b"ab", b"cd").body).wire()
    assert headers == [length(4)]
    assert isinstance(payload, ReadableStream)
    assert b"".join([chunk async for chunk in payload]) == b"abcd"


async def test_bytes_whose_stream_was_looked_at_are_bytes() -> None:
    response = Response("abc")
    assert response.body is response.body
    assert response.wire() == (200, [TEXT, length(3)], b"abc")


class Packed(PulledSource):
    """The body of a response that arrived compressed."""

    content_encoding = b"gzip"

    def __init__(self) -> None:
        super().__init__(b"plain", is_over=True)

    def undecoded(self) -> None:
        self._chunk = b"packed"

    @property
    def length_bytes(self) -> int:
        return len(self._chunk)


async def test_compressed_body_that_nobody_read_goes_on_as_it_came() -> None:
    _, headers, payload = Response(ReadableStream(Packed())).wire()
    assert headers == [(b"content-encoding", b"gzip"), length(6)]
    assert isinstance(payload, ReadableStream)
    assert await payload.read() == b"packed"


async def test_compressed_body_is_decoded_when_the_worker_encodes() -> None:
    _, headers, payload = Response(ReadableStream(Packed()), headers={"content-encoding": "x"}).wire()
    assert headers == [(b"content-encoding", b"x"), length(5)]
    assert isinstance(payload, ReadableStream)
    assert await payload.read() == b"plain"
