"""WHATWG Fetch *extract a body*: from what a program gives as a body to what is sent, its type and its length."""

from __future__ import annotations

from collections.abc import AsyncIterable
from inspect import isawaitable
from typing import TYPE_CHECKING

from longshore.sockets._readable import ReadableStream, source_of
from longshore.workers._blob import Blob, encode_text
from longshore.workers._form_data import FormData
from longshore.workers._multipart import encode_form
from longshore.workers._sources import BytesSource, ChunkIterator

if TYPE_CHECKING:
    from longshore.workers._types import Payload

__all__ = ["FORM_TYPE", "TEXT_TYPE", "extract_body", "length_of", "usable"]

TEXT_TYPE = "text/plain;charset=UTF-8"
FORM_TYPE = "multipart/form-data"


def extract_body(body: object, owner: str = "Response") -> tuple[Payload | None, str | None, int | None]:
    """Return what is sent, its content type and its length in bytes, each None when there is none.

    Args:
        body: None, text, bytes, a blob, a form, a stream, or an async iterator of bytes or text.
        owner: what the body is for: the name in the error.

    Raises:
        TypeError: it is something else, or a stream that somebody else is reading.
    """
    if body is None:
        return None, None, None
    if isinstance(body, str):
        data = encode_text(body)
        return data, TEXT_TYPE, len(data)
    if isinstance(body, bytes):
        data = bytes(body)
        return data, None, len(data)
    if isinstance(body, (Blob, FormData)):
        data, content_type = (body.data, body.content_type) if isinstance(body, Blob) else encode_form(body)
        return data, content_type or None, len(data)
    if isinstance(body, ReadableStream):
        payload = usable(body)
        return payload, None, length_of(payload)
    if isinstance(body, AsyncIterable):
        return ChunkIterator(body), None, None
    return _from_memory(body, owner)


def _from_memory(body: object, owner: str) -> tuple[bytes, None, int]:
    try:
        data = bytes(memoryview(body))  # type: ignore[arg-type]  # this is the question
    except TypeError:
        raise TypeError(f"Unsupported type in {owner}: {type(body).__name__}{_hint(body, owner)}") from None
    return data, None, len(data)


def _hint(body: object, owner: str) -> str:
    if isinstance(body, (dict, list)):
        return "; Response.json(...) sends it as JSON" if owner == "Response" else "; json.dumps(...) makes text of it"
    return "; await it first" if isawaitable(body) else ""


def usable(stream: ReadableStream) -> bytes | ReadableStream:
    """Return a stream that nobody else reads, or the bytes that it would give.

    Raises:
        TypeError: somebody else is reading it.
    """
    if stream.locked:
        raise TypeError("this ReadableStream is locked: release_lock() of its reader first")
    source = source_of(stream)
    return source.data if isinstance(source, BytesSource) and not source.is_disturbed else stream


def length_of(payload: object) -> int | None:
    """Return how many bytes ``payload`` will give, when that is known."""
    if isinstance(payload, bytes):
        return len(payload)
    if isinstance(payload, ReadableStream):
        length: int | None = getattr(source_of(payload), "length_bytes", None)
        return length
    return None
