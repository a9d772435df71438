"""WHATWG Fetch *extract a body*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.sockets._readable import ReadableStream
from longshore.workers._blob import Blob
from longshore.workers._extract import TEXT_TYPE, extract_body, length_of
from longshore.workers._form_data import FormData
from longshore.workers._response import Response
from longshore.workers._sources import ChunkIterator
from tests.workers.asgi_client import incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Text(str):
    """A ``str`` that is more than one."""

    __slots__ = ()


class Data(bytes):
    """A ``bytes`` that is more than one."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("body", "extracted"),
    [
        (None, (None, None, None)),
        ("é", ("é".encode(), TEXT_TYPE, 2)),
        ("", (b"", TEXT_TYPE, 0)),
        (Text("a"), (b"a", TEXT_TYPE, 1)),
        (b"a", (b"a", None, 1)),
        (Data(b"a"), (b"a", None, 1)),
        (bytearray(b"a"), (b"a", None, 1)),
        (memoryview(b"abc")[::2], (b"ac", None, 2)),
        (Blob("a"), (b"a", None, 1)),
        (Blob("a", "text/x"), (b"a", "text/x", 1)),
    ],
)
def test_what_is_there_already(body: Any, extracted: Any) -> None:
    assert extract_body(body) == extracted
    payload = extract_body(body)[0]
    assert payload is None or type(payload) is bytes


def test_memory_may_be_used_again() -> None:
    buffer = bytearray(b"ab")
    payload, _, _ = extract_body(buffer)
    buffer[:] = b"xx"
    assert payload == b"ab"


def test_form() -> None:
    payload, content_type, length = extract_body(FormData({"a": "1"}))
    assert isinstance(payload, bytes)
    assert len(payload) == length
    assert content_type is not None
    assert content_type.startswith("multipart/form-data; boundary=")


async def test_stream() -> None:
    stream = incoming(b"abc").body
    assert stream is not None
    assert extract_body(stream) == (stream, None, 3)
    reader = stream.get_reader()
    with pytest.raises(TypeError, match="locked"):
        extract_body(stream)
    reader.release_lock()


async def test_stream_of_bytes_is_bytes_until_it_is_read() -> None:
    stream = Response("abc").body
    assert stream is not None
    assert extract_body(stream) == (b"abc", None, 3)
    await stream.read(1)
    assert extract_body(stream) == (stream, None, 2)


async def test_async_iterator() -> None:
    async def chunks() -> AsyncIterator[str]:
        yield "a"

    payload, content_type, length = extract_body(chunks())
    assert isinstance(payload, ChunkIterator)
    assert (content_type, length, length_of(payload)) == (None, None, None)
    assert [chunk async for chunk in payload] == [b"a"]


def test_a_request_is_named_in_the_error() -> None:
    with pytest.raises(TypeError, match=r"^Unsupported type in Request: dict; json.dumps\(...\) makes text of it$"):
        extract_body({}, "Request")
    with pytest.raises(TypeError, match=r"^Unsupported type in Request: object$"):
        extract_body(object(), "Request")


def test_length_of() -> None:
    assert length_of(b"abc") == 3
    assert length_of(None) is None
    assert isinstance(Response("abc").body, ReadableStream)
    assert length_of(Response("abc").body) == 3
