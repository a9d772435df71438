"""The body of a request while it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.errors import LimitExceeded, ResetError, UsageError
from longshore.sockets._readable import source_of
from longshore.workers import _sources
from longshore.workers._incoming_body import IncomingBody
from longshore.workers._request import Request, incoming_request
from tests.sweep import MODES, Attempt, sweep
from tests.workers.asgi_client import Client, http_scope, incoming

if TYPE_CHECKING:
    from longshore.sockets._readable import ReadableStream


def upload(client: Client, length: int | None = None) -> Request:
    """Return a request with a body that ``client`` will send."""
    headers = {"transfer_encoding": "chunked"} if length is None else {"content_length": str(length)}
    return incoming_request(http_scope("POST", **headers), client.receive)


def body_of(request: Request) -> ReadableStream:
    assert request.body is not None
    return request.body


async def test_pieces_arrive_as_they_are_sent() -> None:
    client = Client(b"ab")
    stream = body_of(upload(client))
    assert await stream.read() == b"ab"
    client.send(b"cd")
    assert await stream.read() == b"cd"
    client.send(b"ef", is_last=True)
    assert await stream.read() == b"ef"
    assert await stream.read() == await stream.read() == b""


async def test_nothing_is_pulled_before_somebody_reads() -> None:
    """Back-pressure: the server stops reading from the client when nobody takes messages."""
    client = Client(b"ab", b"cd")
    client.finish()
    request = upload(client)
    stream = body_of(request)
    assert client.received == 0
    assert await stream.read() == b"ab"
    assert client.received == 1
    assert await stream.read() == b"cd"
    assert client.received == 2


async def test_reads_are_bounded() -> None:
    stream = body_of(incoming(b"abcdef"))
    buffer = bytearray(2)
    assert await stream.read(3) == b"abc"
    assert await stream.read_into(buffer) == 2
    assert buffer == b"de"
    assert await stream.read(3) == b"f"
    assert await stream.read_into(buffer) == 0


async def test_empty_messages_are_no_end() -> None:
    assert [chunk async for chunk in body_of(incoming(b"", b"a", b"", b"b", b""))] == [b"a", b"b"]


async def test_length_that_is_left() -> None:
    stream = body_of(incoming(b"abc", b"de"))
    source = source_of(stream)
    assert isinstance(source, IncomingBody)
    assert source.length_bytes == 5
    await stream.read(2)
    assert source.length_bytes == 3
    assert IncomingBody(Client().receive, None).length_bytes is None


async def test_a_client_that_leaves_is_no_end_of_file() -> None:
    """K5: whoever reads is told, every time."""
    client = Client(b"abc")
    request = upload(client, 10)
    stream = body_of(request)
    client.leave()
    assert await stream.read() == b"abc"
    for _ in range(2):
        with pytest.raises(ResetError, match=r"^the client left after 3 of 10 bytes of the request body$") as caught:
            await stream.read()
        assert isinstance(caught.value, OSError)
        assert caught.value.during == "read"


@pytest.mark.parametrize("reading", ["bytes", "text", "json", "blob", "buffer", "form_data"])
async def test_a_client_that_leaves_while_everything_is_read(reading: str) -> None:
    client = Client(b"abc")
    client.leave()
    headers = {"transfer_encoding": "chunked", "content_type": "application/x-www-form-urlencoded"}
    request = incoming_request(http_scope("POST", **headers), client.receive)
    with pytest.raises(ResetError, match=r"^the client left after 3 bytes of the request body$"):
        await getattr(request, reading)()


async def test_a_client_that_leaves_is_told_to_both_clones() -> None:
    client = Client(b"abc")
    client.leave()
    request = upload(client)
    clone = request.clone()
    for message in (request, clone):
        with pytest.raises(ResetError):
            await message.bytes()


async def test_closed() -> None:
    stream = body_of(incoming(b"abc"))
    reader = stream.get_reader()
    assert await reader.read() == b"abc"
    assert not reader.closed.done()
    assert await reader.read() == b""
    await reader.closed

    client = Client()
    client.leave()
    reader = body_of(upload(client)).get_reader()
    with pytest.raises(ResetError):
        await reader.read()
    with pytest.raises(ResetError):
        await reader.closed


async def test_one_read_at_a_time() -> None:
    client = Client()
    stream = body_of(upload(client))
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="already pending"):
        await stream.read()
    client.send(b"a")
    assert await reading == b"a"


async def test_cancel_ends_it() -> None:
    request = incoming(b"abc", b"def")
    stream = body_of(request)
    assert await stream.read(1) == b"a"
    await stream.cancel()
    assert await stream.read() == b""
    assert request.body_used


async def test_cancel_while_a_read_waits() -> None:
    client = Client()
    stream = body_of(upload(client))
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    await stream.cancel()
    client.send(b"late")
    assert await reading == b""


async def test_reading_a_part_uses_the_body() -> None:
    request = incoming(b"abc")
    was_used = request.body_used
    await body_of(request).read(1)
    assert (was_used, request.body_used) == (False, True)
    with pytest.raises(OSError, match=r"^Body already used$"):
        await request.text()
    with pytest.raises(OSError, match=r"^Body already used$"):
        request.clone()


async def test_a_part_of_a_clone_uses_the_clone() -> None:
    request = incoming(b"abc")
    clone = request.clone()
    await body_of(clone).read(1)
    assert (clone.body_used, request.body_used) == (True, False)
    with pytest.raises(OSError, match=r"^Body already used$"):
        await clone.text()
    assert await request.text() == "abc"


async def test_a_locked_body_is_not_read() -> None:
    request = incoming(b"abc")
    reader = body_of(request).get_reader()
    with pytest.raises(OSError, match="locked to a reader"):
        await request.text()
    reader.release_lock()
    assert await request.text() == "abc"


async def test_javascript_reader() -> None:
    reader = request_reader = incoming(b"abc").body.getReader()  # type: ignore[union-attr]  # of JavaScript
    result = await reader.read()
    assert (result.value.to_bytes(), result.done) == (b"abc", False)
    assert (await request_reader.read()).done


@pytest.mark.parametrize("clones", [0, 1])
async def test_a_body_that_is_too_long_to_hold(clones: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sources, "MAX_BUFFERED_BYTES", 5)
    client = Client(b"abc", b"def")
    client.finish()
    request = upload(client)
    for _ in range(clones):
        request.clone()
    with pytest.raises(LimitExceeded, match=r"longer than 5 bytes: read it in pieces, `async for chunk"):
        await request.bytes()


async def test_a_body_that_says_it_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sources, "MAX_BUFFERED_BYTES", 5)
    client = Client(b"abc")
    with pytest.raises(LimitExceeded) as caught:
        await upload(client, 6).bytes()
    assert client.received == 0
    assert (caught.value.limit, caught.value.value) == ("max_buffered_bytes", 5)
    assert await incoming(b"abcde").bytes() == b"abcde"


@pytest.mark.parametrize("mode", MODES)
async def test_a_cancelled_read_loses_nothing(mode: str) -> None:
    """K13."""

    async def play(attempt: Attempt) -> None:
        client = Client()
        stream = body_of(upload(client))

        async def send() -> None:
            client.send(b"ab")
            client.send(b"cd", is_last=True)

        found = await attempt.run(stream.read(), meanwhile=send())
        rest = b"".join([chunk async for chunk in stream])
        assert (found or b"") + rest == b"abcd"

    await sweep(play, mode)
