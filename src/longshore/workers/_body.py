"""What ``Request`` and ``Response`` have in common: headers, and a body that is read once (WHATWG Fetch *Body*)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.sockets._readable import ReadableStream, source_of, split
from longshore.workers._blob import Blob, decode_text
from longshore.workers._buffer import JsBuffer
from longshore.workers._headers import Headers
from longshore.workers._javascript_streams import JsReadableStream
from longshore.workers._multipart import form_reader
from longshore.workers._sources import MAX_BUFFERED_BYTES, BytesSource, ChunkIterator, IteratorSource, read_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.workers._form_data import FormData
    from longshore.workers._types import Payload

__all__ = ["BodyOwner"]

# Inside the class that name is a method.
_Bytes: TypeAlias = bytes


class BodyOwner:
    """A message. Nothing of it is made before somebody asks: no headers object, no stream."""

    __slots__ = ("__dict__", "__weakref__", "_headers", "_is_used", "_payload", "_raw")

    _payload: Payload | None
    # True once the payload was consumed or given away.
    _is_used: bool
    # The headers on the wire, until somebody asks for `headers`, which then has the last word.
    _raw: Sequence[tuple[_Bytes, _Bytes]]
    _headers: Headers | None

    # -- headers ---------------------------------------------------------------------------------

    @property
    def headers(self) -> Headers:
        """The headers: an ``http.client.HTTPMessage`` whose changes are sent."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers.from_raw(self._raw)
        return headers

    # -- the body --------------------------------------------------------------------------------

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream, or None when there is none."""
        payload = self._load()
        if payload is None or isinstance(payload, ReadableStream):
            return payload
        if isinstance(payload, bytes):
            stream = JsReadableStream(BytesSource(payload))
            if self._is_used:
                source_of(stream).cancel(None)
        else:
            stream = JsReadableStream(IteratorSource(_chunks(payload)))
        self._payload = stream
        return stream

    @property
    def body_used(self) -> bool:
        """True once the body was read, in whole or in part."""
        if self._is_used:
            return True
        payload = self._payload
        return isinstance(payload, ReadableStream) and getattr(source_of(payload), "is_disturbed", False)

    async def bytes(self) -> _Bytes:
        """Read the whole body.

        Raises:
            OSError: it was read before, or the other side left in the middle (``ResetError``).
            LimitExceeded: it is longer than 128 MiB; read ``body`` in pieces instead.

        Cancellation: safe, but the body is used up.
        """
        payload = self._consume()
        if payload is None:
            return b""
        if isinstance(payload, bytes):
            return payload
        chunks: list[_Bytes] = []
        await read_all(payload, chunks.append)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def buffer(self) -> JsBuffer:
        """Read the whole body, as bytes with the methods of Pyodide's buffers.

        Raises, cancellation: as ``bytes()``.
        """
        return JsBuffer(await self.bytes())

    async def text(self) -> str:
        """Read the whole body as UTF-8; what is no UTF-8 becomes U+FFFD.

        Raises, cancellation: as ``bytes()``.
        """
        return decode_text(await self.bytes())

    async def blob(self) -> Blob:
        """Read the whole body as a ``Blob`` of the message's content type.

        Raises, cancellation: as ``bytes()``.
        """
        return Blob(await self.bytes(), self._content_type())

    async def form_data(self) -> FormData:
        """Read the whole body as a form.

        Raises:
            TypeError: the content type is not that of a form, or the body is not what it says.
            OSError, LimitExceeded: as ``bytes()``; also for more than 10,000 fields.

        Cancellation: safe, but the body is used up.
        """
        self._check_usable()
        reader = form_reader(self._content_type())
        payload = self._consume()
        if isinstance(payload, bytes):
            reader.feed(payload)
        elif payload is not None:
            await read_all(payload, reader.feed)
        return reader.finish()

    async def _parse_json(self, **options: Any) -> Any:
        return json.loads(await self.text(), **options)

    async def array_buffer(self) -> JsBuffer:
        """Read the whole body; JavaScript's name of ``buffer()``.

        Raises, cancellation: as ``bytes()``.
        """
        return await self.buffer()

    bodyUsed = body_used  # noqa: N815 -- JavaScript's name
    arrayBuffer = array_buffer  # noqa: N815 -- JavaScript's name
    formData = form_data  # noqa: N815 -- JavaScript's name

    # -- for the classes below -------------------------------------------------------------------

    def _load(self) -> Payload | None:
        return self._payload

    def _content_type(self) -> str | None:
        return self.headers.get("content-type")

    def _check_usable(self) -> None:
        if self.body_used:
            raise OSError("Body already used")
        if isinstance(self._payload, ReadableStream) and self._payload.locked:
            raise OSError("the body is locked to a reader: release_lock() first")

    def _consume(self) -> _Bytes | ReadableStream | None:
        """Take the body, once."""
        self._check_usable()
        payload = self._load()
        if payload is None:
            return None
        if not isinstance(payload, bytes):
            payload = self.body
        self._is_used = True
        return payload

    def _share(self) -> Payload | None:
        """Return the body for a copy of this message; each reads all of it."""
        self._check_usable()
        payload = self._load()
        if payload is None or isinstance(payload, bytes):
            return payload
        stream = self.body
        assert stream is not None, "a payload always makes a stream"
        self._payload, copy = split(stream, MAX_BUFFERED_BYTES)
        return copy


def _chunks(payload: Any) -> ChunkIterator:
    return payload if isinstance(payload, ChunkIterator) else ChunkIterator(payload)
