"""What bodies are read from: bytes, and async iterators."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from longshore.errors import ClosedError, UsageError
from longshore.sockets._readable import ReadableStream
from longshore.workers._response import Response
from longshore.workers._sources import BytesSource, ChunkIterator, IteratorSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Pieces:
    """An async generator that tells what became of it."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.given = 0
        self.was_closed = False
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            for value in self.values:
                if self.gate is not None:
                    await self.gate.wait()
                if isinstance(value, Exception):
                    raise value
                self.given += 1
                yield value
        finally:
            self.was_closed = True


def stream_of(pieces: Pieces) -> ReadableStream:
    return ReadableStream(IteratorSource(ChunkIterator(pieces())))


async def settle() -> None:
    """Let what was spawned run."""
    for _ in range(5):
        await asyncio.sleep(0)


class TestBytes:
    """Bytes that are there."""

    async def test_reading(self) -> None:
        source = BytesSource(b"abcdef")
        assert (source.length_bytes, source.data, source.is_disturbed) == (6, b"abcdef", False)
        assert await source.read(4) == b"abcd"
        assert (source.length_bytes, source.data, source.is_disturbed) == (2, b"ef", True)
        assert await source.read(4) == b"ef"
        assert await source.read(4) == b""
        await source.closed

    async def test_cancel(self) -> None:
        source = BytesSource(b"abcdef")
        source.cancel(None)
        assert (await source.read(4), source.length_bytes) == (b"", 0)
        await source.closed


class TestIterator:
    """What a worker's generator gives."""

    async def test_chunks_as_they_come(self) -> None:
        pieces = Pieces(b"ab", "cd", b"", bytearray(b"ef"))
        stream = stream_of(pieces)
        assert pieces.given == 0
        assert await stream.read(1) == b"a"
        assert pieces.given == 1
        assert [chunk async for chunk in stream] == [b"b", b"cd", b"ef"]
        assert pieces.was_closed

    async def test_memory_of_a_chunk_may_be_used_again(self) -> None:
        buffer = bytearray(b"ab")
        chunks = ChunkIterator(Pieces(buffer)())
        chunk = await anext(chunks)
        buffer[:] = b"xx"
        assert chunk == b"ab"
        await chunks.aclose()

    async def test_an_error_is_no_end_of_file(self) -> None:
        """K5: a finished generator would say that there is nothing more."""
        stream = stream_of(Pieces(b"ab", ValueError("no more")))
        assert await stream.read() == b"ab"
        for _ in range(2):
            with pytest.raises(ValueError, match="no more"):
                await stream.read()

    async def test_a_cancelled_generator_is_no_end_of_file(self) -> None:
        pieces = Pieces(b"ab")
        pieces.gate = asyncio.Event()
        stream = stream_of(pieces)
        reading = asyncio.create_task(stream.read())
        await settle()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert pieces.was_closed
        with pytest.raises(ClosedError, match="cancelled in the middle"):
            await stream.read()

    async def test_one_read_at_a_time(self) -> None:
        pieces = Pieces(b"ab")
        pieces.gate = asyncio.Event()
        stream = stream_of(pieces)
        reading = asyncio.create_task(stream.read())
        await settle()
        with pytest.raises(UsageError, match="already pending"):
            await stream.read()
        pieces.gate.set()
        assert await reading == b"ab"
        assert await stream.read() == b""

    async def test_cancel_closes_the_generator(self) -> None:
        pieces = Pieces(b"ab", b"cd")
        stream = stream_of(pieces)
        await stream.read()
        await stream.cancel()
        await stream.cancel()
        await settle()
        assert pieces.was_closed
        assert await stream.read() == b""

    async def test_cancel_while_a_read_waits(self) -> None:
        pieces = Pieces(b"ab", b"cd")
        pieces.gate = asyncio.Event()
        stream = stream_of(pieces)
        reading = asyncio.create_task(stream.read())
        await settle()
        await stream.cancel()
        pieces.gate.set()
        assert await reading == b""
        assert pieces.was_closed

    async def test_a_generator_that_fails_to_close(self, caplog: pytest.LogCaptureFixture) -> None:
        async def stubborn() -> AsyncIterator[bytes]:
            try:
                yield b"ab"
            finally:
                raise ValueError("cannot close")

        stream = ReadableStream(IteratorSource(ChunkIterator(stubborn())))
        await stream.read()
        with caplog.at_level(logging.ERROR):
            await stream.cancel()
            await settle()
        assert "cannot close" in caplog.text

    async def test_an_iterator_that_is_no_generator(self) -> None:
        class Counter:
            def __init__(self) -> None:
                self.count = 0

            def __aiter__(self) -> Counter:
                return self

            async def __anext__(self) -> str:
                self.count += 1
                if self.count > 3:
                    raise StopAsyncIteration
                return str(self.count)

        assert await Response(Counter()).text() == "123"
        chunks = ChunkIterator(Counter())
        await anext(chunks)
        await chunks.aclose()

    async def test_a_wrong_chunk_closes_the_generator(self) -> None:
        pieces = Pieces(b"ab", {"a": 1})
        response = Response(pieces())
        with pytest.raises(TypeError, match="of type dict: yield bytes or str"):
            await response.bytes()
        assert pieces.was_closed

    async def test_two_clones_of_an_error(self) -> None:
        response = Response(Pieces(b"ab", ValueError("no more"))())
        clone = response.clone()
        for message in (response, clone):
            with pytest.raises(ValueError, match="no more"):
                await message.bytes()
