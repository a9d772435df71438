"""The body of a response to ``fetch()``: pulled from the connection while somebody reads, and decoded on the way.

The connection goes back to the pool when the body was read to its end. It is closed when the body is cancelled, fails,
or when nobody refers to it any more: ``BodyLease`` notices that.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import httpx

from longshore.aio.tasks import spawn
from longshore.workers._abort import abort_error
from longshore.workers._fetch_client import close_response, failure_of
from longshore.workers._sources import PulledSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from longshore.aio.abort import AbortSignal

__all__ = ["CODINGS", "BodyLease", "FetchedBody", "is_decodable"]

CODINGS = {"gzip", "deflate", "identity"}
"""What can be decoded: these, and what is installed for httpx."""
CODINGS.update(coding for coding, module in (("br", "brotli"), ("zstd", "zstandard")) if find_spec(module))

# Deflate packs at most about 1,000 bytes into one, so no piece becomes more than 4 MiB.
ENCODED_PIECE_BYTES = 4096


class FetchedBody(PulledSource):
    """A ``ReadSource`` over a response of httpx.

    Args:
        response: its stream is not read yet.
        url: for messages.
        signal: ends the reading with an error.
        may_stay_encoded: whoever gets the body from this worker has said which encodings it takes.
    """

    __slots__ = (
        "_chunks",
        "_is_decoded",
        "_is_orphan",
        "_left_bytes",
        "_may_stay_encoded",
        "_pulling",
        "_response",
        "_signal",
        "_url",
        "is_released",
    )

    def __init__(
        self, response: httpx.Response, url: httpx.URL, signal: AbortSignal | None, *, may_stay_encoded: bool
    ) -> None:
        super().__init__()
        self._response = response
        self._url = url
        self._signal = signal
        self._is_decoded = is_decodable(response)
        self._may_stay_encoded = may_stay_encoded
        self._is_orphan = False
        self.is_released = False
        self._pulling: asyncio.Task[bytes | None] | None = None
        self._chunks: AsyncGenerator[bytes, None] = self._iterate()
        self._left_bytes: int | None = None
        if signal is not None:
            signal.add_callback(self, self._on_abort)

    @property
    def content_encoding(self) -> bytes | None:
        """What the body is encoded with, while it may be passed on as it is with ``undecoded()``; else None."""
        if not self._is_decoded or not self._may_stay_encoded or self.is_disturbed:
            return None
        return self._response.headers["content-encoding"].encode("latin-1")

    def undecoded(self) -> None:
        """Give the bytes as they are on the wire; ``content_encoding`` says that this is possible."""
        self._is_decoded = False
        self._chunks = self._iterate()

    @property
    def length_bytes(self) -> int | None:
        """How many bytes are to come, when the server said so and nothing was read."""
        return None if self.is_disturbed else self._length

    @property
    def _length(self) -> int | None:
        length = self._response.headers.get("content-length", "")
        return int(length) if length.isdecimal() and not self._is_decoded else None

    def cancel(self, reason: object) -> None:
        """Lose interest, and close the connection unless the body was read to its end."""
        super().cancel(reason)
        self.release()

    def orphan(self) -> None:
        """Release the connection, for nobody can read any more, or when the read that is pending is done."""
        self._is_orphan = True
        if not self.is_pending:
            self.release()

    def release(self) -> None:
        """Give the connection up, unless the body was read to its end."""
        if self._pulling is not None:
            self._pulling.cancel()
        if not self.is_released:
            spawn(self._end(), name="longshore close a fetched body")

    async def _pull(self) -> bytes | None:
        """Wait for the next chunk in a task of its own: httpx gives a connection up whose reader is cancelled."""
        if self._pulling is None:
            if self.is_released:
                return None
            self._pulling = spawn(self._next(), name="longshore read a fetched body")
        pulling = self._pulling
        try:
            await asyncio.wait([pulling])
        finally:
            if self._is_orphan:
                self.release()
        self._pulling = None
        if pulling.cancelled():
            return None
        return pulling.result()

    async def _next(self) -> bytes | None:
        try:
            if self._left_bytes is None:
                self._left_bytes = -1 if self._length is None else self._length
            chunk = await anext(self._chunks)
            self._left_bytes -= len(chunk)
            if not self._left_bytes:
                # Nobody may ask for the end of a body whose length is known, and its connection is free now.
                await anext(self._chunks, None)
                await self._end()
            return chunk
        except StopAsyncIteration:
            await self._end()
            return None
        except httpx.HTTPError as exc:
            self._fail(failure_of(exc, self._url))
        except Exception as exc:  # noqa: BLE001 - whoever reads gets it
            self._fail(exc)
        await self._end()
        return b""  # the error is raised by the read that waits

    async def _end(self) -> None:
        self.is_released = True
        if self._signal is not None:
            self._signal.remove_callback(self)
        await close_response(self._response)
        if self._pulling is None or self._pulling.done():
            await self._chunks.aclose()  # left to the garbage collector, it would be closed at some later time

    def _iterate(self) -> AsyncGenerator[bytes, None]:
        # Underneath, both are async generators of httpx.
        chunks = _decoded(self._response) if self._is_decoded else aiter(_stream(self._response))
        return cast("AsyncGenerator[bytes, None]", chunks)

    def _on_abort(self, reason: object) -> None:
        self._chunk = b""
        self._fail(abort_error(reason, "reading the body"))
        self.release()


class BodyLease:
    """Held by the public stream of a fetched body; when that is gone, so is the connection.

    Args:
        body: knows nothing of this object.
    """

    __slots__ = ("_body", "_loop")

    def __init__(self, body: FetchedBody) -> None:
        self._body = body
        self._loop = asyncio.get_running_loop()

    def __del__(self) -> None:
        if not self._body.is_released and not self._loop.is_closed():
            # The garbage collector calls in any thread and at any time.
            self._loop.call_soon_threadsafe(self._body.orphan)


def is_decodable(response: httpx.Response) -> bool:
    """Tell whether the body is encoded in a way that can be undone here."""
    encodings = response.headers.get("content-encoding", "").lower().split(",")
    return encodings != [""] and all(encoding.strip() in CODINGS for encoding in encodings)


def _stream(response: httpx.Response) -> httpx.AsyncByteStream:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


def _decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    headers = {"content-encoding": response.headers["content-encoding"]}
    return httpx.Response(200, headers=headers, stream=_Pieces(response)).aiter_bytes()


class _Pieces(httpx.AsyncByteStream):
    """Small pieces of an encoded body, so that what comes out of the decoder is small too."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in _stream(self._response):
            for start in range(0, len(chunk), ENCODED_PIECE_BYTES):
                yield chunk[start : start + ENCODED_PIECE_BYTES]
