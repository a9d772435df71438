"""What the streams of bodies read from: bytes, an async iterator; and the reading of a whole body.

Every source here pulls: nothing is fetched before somebody reads, and no more than one chunk is held. A failure is
remembered, so that the read after it raises again and never finds an end-of-file (rule K5).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from longshore.aio.promise import Promise
from longshore.aio.tasks import spawn
from longshore.errors import ClosedError, LimitExceeded, UsageError
from longshore.sockets._readable import source_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable

    from longshore.sockets._readable import ReadableStream

__all__ = ["MAX_BUFFERED_BYTES", "BytesSource", "ChunkIterator", "IteratorSource", "PulledSource", "read_all"]

MAX_BUFFERED_BYTES = 128 * 1024 * 1024
"""The largest body that is read into memory as a whole; longer ones are for streaming."""

# As much as uvloop reads at once.
READ_BYTES = 256 * 1024

_log = logging.getLogger("longshore.workers")


class PulledSource:
    """A ``ReadSource`` over ``_pull()``, which gives the next chunk, or None at the end."""

    __slots__ = ("_chunk", "_closed", "_error", "_is_over", "_offset", "is_disturbed", "is_pending")

    def __init__(self, chunk: bytes = b"", *, is_over: bool = False) -> None:
        self._chunk = chunk
        self._offset = 0
        self._is_over = is_over
        self._error: BaseException | None = None
        self._closed: Promise[None] | None = None
        self.is_pending = False
        self.is_disturbed = False
        """True once somebody has read or cancelled."""

    @property
    def closed(self) -> Promise[None]:
        """Resolves at the end, rejects with what else ended the reading."""
        if self._closed is None:
            self._closed = Promise()
            self._settle()
        return self._closed

    @property
    def length_bytes(self) -> int | None:
        """How many bytes are still to come, when that is known."""
        return None

    @property
    def content_encoding(self) -> bytes | None:
        """What the bytes were compressed with, when ``undecoded()`` can give them as they were."""
        return None

    def undecoded(self) -> None:
        """Give the compressed bytes; only before anything was read."""

    async def read(self, max_bytes: int) -> bytes:
        """Return 1..max_bytes bytes, or ``b""`` at end-of-file."""
        if self.is_pending:
            raise UsageError("a read is already pending on this stream: await it before the next one")
        self.is_disturbed = True
        while self._offset >= len(self._chunk):
            if self._error is not None:
                raise self._error.with_traceback(None)
            if self._is_over:
                self._settle()
                return b""
            await self._fetch()
        return self._take(max_bytes)

    async def read_into(self, buffer: memoryview) -> int:
        """Fill the front of ``buffer``; 0 at end-of-file."""
        data = await self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def cancel(self, reason: object) -> None:
        """Lose interest: later reads return end-of-file."""
        self.is_disturbed = self._is_over = True
        self._chunk, self._offset = b"", 0
        self._settle()

    async def _pull(self) -> bytes | None:
        raise NotImplementedError

    async def _fetch(self) -> None:
        self.is_pending = True
        try:
            chunk = await self._pull()
        finally:
            self.is_pending = False
        if chunk is None:
            self._is_over = True
        elif not self._is_over:
            self._chunk, self._offset = chunk, 0

    def _take(self, max_bytes: int) -> bytes:
        chunk, start = self._chunk, self._offset
        if start == 0 and len(chunk) <= max_bytes:
            self._chunk = b""
            return chunk
        self._offset = start + max_bytes
        return chunk[start : start + max_bytes]

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._settle()

    def _settle(self) -> None:
        if self._closed is None or self._closed.done():
            return
        if self._error is not None:
            self._closed.reject(self._error)
        elif self._is_over and self._offset >= len(self._chunk):
            self._closed.resolve(None)


class BytesSource(PulledSource):
    """Bytes that are there already."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        super().__init__(data, is_over=True)

    @property
    def length_bytes(self) -> int:
        """How many bytes are still to come."""
        return max(len(self._chunk) - self._offset, 0)

    @property
    def data(self) -> bytes:
        """The rest, without reading it."""
        return self._chunk[self._offset :]


class ChunkIterator:
    """An async iterator of bytes over one of bytes or text.

    Args:
        chunks: what a worker gave as a body.
    """

    __slots__ = ("_iterator",)

    def __init__(self, chunks: AsyncIterable[bytes] | AsyncIterable[str]) -> None:
        self._iterator: AsyncIterator[Any] = aiter(chunks)

    def __aiter__(self) -> ChunkIterator:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._iterator)
        if chunk.__class__ is bytes:
            return chunk
        if isinstance(chunk, str):
            return chunk.encode()
        if isinstance(chunk, (bytes, bytearray, memoryview)):
            # A copy: the generator may fill its buffer anew while this chunk waits to be sent.
            return bytes(chunk)
        await self.aclose()
        raise TypeError(f"a chunk of the body is of type {type(chunk).__name__}: yield bytes or str")

    async def aclose(self) -> None:
        """End the iterator, so that its ``finally`` blocks run.

        Cancellation: it reaches the iterator.
        """
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


class IteratorSource(PulledSource):
    """An async iterator, read as a stream."""

    __slots__ = ("_chunks", "_is_cancelled")

    def __init__(self, chunks: ChunkIterator) -> None:
        super().__init__()
        self._chunks = chunks
        self._is_cancelled = False

    async def _pull(self) -> bytes | None:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            return None
        except Exception as exc:
            self._fail(exc)
            raise
        except BaseException as exc:
            # A generator that was cancelled is finished: its next answer would look like the end of the body.
            self._fail(ClosedError("the body's generator was cancelled in the middle", during="read", reason=exc))
            raise
        finally:
            if self._is_cancelled:
                await _close(self._chunks)

    def cancel(self, reason: object) -> None:
        """Lose interest, and end the iterator."""
        super().cancel(reason)
        if self._is_cancelled:
            return
        self._is_cancelled = True
        if not self.is_pending:
            spawn(_close(self._chunks), name="close the iterator of a body")


async def read_all(stream: ReadableStream, take: Callable[[bytes], object]) -> None:
    """Give everything of ``stream``, which stays locked, to ``take``.

    Raises:
        LimitExceeded: it is, or says that it is, longer than ``MAX_BUFFERED_BYTES``.
    """
    length = getattr(source_of(stream), "length_bytes", None)
    if length is not None and length > MAX_BUFFERED_BYTES:
        raise _too_long()
    reader = stream.get_reader()
    left = MAX_BUFFERED_BYTES
    try:
        while chunk := await reader.read(READ_BYTES):
            left -= len(chunk)
            if left < 0:
                raise _too_long()
            take(chunk)
    except BaseException as exc:
        await reader.cancel(exc)  # nobody can read on, so what it comes from need not wait for the garbage collector
        raise


def _too_long() -> LimitExceeded:
    return LimitExceeded(
        f"the body is longer than {MAX_BUFFERED_BYTES} bytes: read it in pieces, `async for chunk in message.body`",
        limit="max_buffered_bytes",
        value=MAX_BUFFERED_BYTES,
    )


async def _close(chunks: ChunkIterator) -> None:
    try:
        await chunks.aclose()
    except Exception:  # noqa: BLE001 -- of the worker; nobody waits for it
        _log.exception("the generator of a body failed while it was closed")
