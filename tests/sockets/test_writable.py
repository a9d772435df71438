"""``WritableStream`` and its writer."""

from __future__ import annotations

import array
import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore import ArgumentTypeError, ClosedError, ResetError, UsageError, connect
from longshore.testing import MemoryDialer, StreamDriver
from tests.loopback import ending, linked, linked_tls, outcome
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    import ssl

    from longshore import TlsOptions
    from longshore.sockets._writable import WritableStreamWriter

# -- K15: what can be written --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (b"bytes", b"bytes"),
        (bytearray(b"bytearray"), b"bytearray"),
        (memoryview(b"-view-")[1:5], b"view"),
        (array.array("H", [1, 2]), array.array("H", [1, 2]).tobytes()),
        ("Zeichen: ü", "Zeichen: ü".encode()),
    ],
)
async def test_bytes_like_objects_and_text_are_written(data: Any, sent: bytes) -> None:
    """K15: any contiguous memory as it is, text as UTF-8."""
    async with linked() as (socket, peer):
        await socket.writable.write(data)
        assert await peer.receive_exactly(len(sent)) == sent


@pytest.mark.parametrize("data", [1, None, ["x"], 1.5, object(), memoryview(b"abcdef")[::2]])
async def test_something_else_is_refused_at_the_call(data: Any) -> None:
    """K15: before anything is awaited."""
    async with linked() as (socket, _):
        with pytest.raises(ArgumentTypeError, match="cannot write"):
            _ = socket.writable.write(data)


@pytest.mark.parametrize("tls", [False, True])
async def test_an_empty_write_is_no_write(
    tls: bool, client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K15: zero bytes are accepted and change nothing, before and after the connection is up."""
    if tls:
        async with linked_tls(client_tls, server_ssl_context) as (socket, secure):
            await socket.writable.write(b"")
            await socket.writable.write(b"x")
            assert await secure.receive_exactly(1) == b"x"
        return
    with RawServer() as server:
        socket = connect(server.address)
        await socket.writable.write(b"")
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            await socket.writable.write("")
            await socket.writable.write(b"x")
            assert await peer.receive_exactly(1) == b"x"


async def test_memory_may_be_reused_when_write_returns() -> None:
    """K2: what waits in the queue is a copy of memory that can change."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    async with ending(socket):
        buffer = bytearray(b"first")
        await socket.writable.write(buffer)
        buffer[:] = b"other"
        dialer.release()
        far = StreamDriver(await dialer.accept())
        assert await far.receive_exactly(5) == b"first"
        far.close()


# -- K12: back pressure --------------------------------------------------------------------------


async def test_a_writer_that_outruns_the_peer_waits() -> None:
    """K12: ``write()`` returns below the mark only; ``ready`` says the same."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=1000)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            writer = socket.writable.get_writer()
            assert writer.desired_size == 1000
            await writer.ready
            writing = asyncio.create_task(write_many(writer, bytes(100_000), 200))
            while writer.desired_size == 1000 and not writing.done():
                await asyncio.sleep(0)
            assert not writing.done()
            assert -100_000 <= writer.desired_size <= 0
            getting_ready = asyncio.create_task(wait_ready(writer))
            await asyncio.sleep(0)
            assert not getting_ready.done()
            assert len(await peer.receive_exactly(100_000 * 200)) == 100_000 * 200
            await writing
            await getting_ready
            assert writer.desired_size == 1000


async def write_many(writer: WritableStreamWriter, data: bytes, times: int) -> None:
    for _ in range(times):
        await writer.write(data)


async def wait_ready(writer: WritableStreamWriter) -> None:
    await writer.ready


async def test_ready_does_not_mean_connected() -> None:
    """K12: it is about room in the queue; ``opened`` is about the connection."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    async with ending(socket):
        await socket.writable.get_writer().ready
        assert not socket.opened.done()


async def test_ready_that_nobody_awaits_costs_nothing() -> None:
    """K6: it is an awaitable, not a coroutine: no warning that it was never awaited."""
    async with linked() as (socket, _):
        ready = socket.writable.get_writer().ready
        del ready


async def test_writers_that_wait_keep_their_order() -> None:
    """K12: chunks of several tasks arrive whole, in the order of the calls."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=1)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            chunks = [bytes([number]) * 1_000_000 for number in range(1, 9)]
            writing = [asyncio.create_task(write_once(socket.writable, chunk)) for chunk in chunks]
            assert await peer.receive_exactly(8_000_000) == b"".join(chunks)
            await asyncio.gather(*writing)


async def write_once(stream: Any, data: bytes) -> None:
    await stream.write(data)


async def test_a_cancelled_write_is_whole_or_not_there() -> None:
    """K13: cancelling while it waits for room takes it back; cancelling later leaves it whole."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer, high_water_mark=4)
    async with ending(socket):
        queued = asyncio.create_task(write_once(socket.writable, b"queued"))
        outside = asyncio.create_task(write_once(socket.writable, b"OUTSIDE"))
        await asyncio.sleep(0)
        for task in (queued, outside):
            task.cancel()
        await asyncio.wait([queued, outside])
        dialer.release()
        await socket.opened
        far = StreamDriver(await dialer.accept())
        await socket.writable.write(b"!")
        assert await far.receive_exactly(7) == b"queued!"
        far.close()


# -- K15: locks ----------------------------------------------------------------------------------


async def test_a_writer_locks_the_stream() -> None:
    """K15: everything else is refused until it is released."""
    async with linked() as (socket, peer):
        stream = socket.writable
        assert stream is socket.writable
        writer = stream.get_writer()
        assert stream.locked
        for use in (lambda: stream.write(b""), stream.get_writer):
            with pytest.raises(UsageError, match="locked"):
                use()
        for waiting in (stream.close(), stream.abort()):
            with pytest.raises(UsageError, match="locked"):
                await waiting
        await writer.write(b"by the writer")
        assert await peer.receive_exactly(13) == b"by the writer"
        writer.release_lock()
        writer.release_lock()
        assert not socket.writable.locked
        await stream.write(b"by the stream")
        assert await peer.receive_exactly(13) == b"by the stream"


async def test_a_released_writer_is_of_no_use() -> None:
    """K15: and does not release the next one's lock."""
    async with linked() as (socket, _):
        old = socket.writable.get_writer()
        old.release_lock()
        new = socket.writable.get_writer()
        old.release_lock()
        assert socket.writable.locked
        with pytest.raises(UsageError, match="released"):
            _ = old.write(b"")
        for waiting in (old.close(), old.abort()):
            with pytest.raises(UsageError, match="released"):
                await waiting
        new.release_lock()


async def test_a_writer_with_a_pending_write_is_not_released() -> None:
    """K15: nor is a second one given out while a write of the stream's own waits."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer, high_water_mark=1)
    async with ending(socket):
        writing = asyncio.create_task(write_once(socket.writable, b"waits"))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="write is pending"):
            socket.writable.get_writer()
        writing.cancel()
        await asyncio.wait([writing])
        writer = socket.writable.get_writer()
        writing = asyncio.create_task(write_once(writer, b"waits too"))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="pending write"):
            writer.release_lock()
        writing.cancel()
        await asyncio.wait([writing])


# -- K15: the end --------------------------------------------------------------------------------


async def test_close_flushes_then_ends() -> None:
    """K15: it returns when FIN is sent; ``closed`` resolves; more writes raise."""
    async with linked() as (socket, peer):
        writer = socket.writable.get_writer()
        await writer.write(b"last")
        assert not writer.closed.done()
        await writer.close()
        await writer.closed
        with pytest.raises(ClosedError, match="closed writable"):
            await writer.write(b"more")
        with pytest.raises(ClosedError):
            await writer.ready
        assert writer.desired_size == 0
        assert await peer.receive_until_end() == (b"last", "eof")


async def test_cancelling_close_does_not_stop_the_flush() -> None:
    """K13: what was written and the FIN still go out."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=64 << 20)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            await socket.writable.write(bytes(16 << 20))
            closing = asyncio.create_task(close_once(socket.writable))
            await asyncio.sleep(0)
            assert not closing.done()
            closing.cancel()
            await asyncio.wait([closing])
            data, end = await peer.receive_until_end()
            assert (len(data), end) == (16 << 20, "eof")


async def close_once(stream: Any) -> None:
    await stream.close()


async def test_abort_ends_with_a_reset_once_reading_has_ended() -> None:
    """K15: TCP has no way to say "aborted" in one direction: no FIN may claim that all was sent."""
    async with linked() as (socket, peer):
        writer = socket.writable.get_writer()
        await writer.abort("cannot go on")
        for use in (writer.write(b"more"), writer.closed, writer.ready):
            with pytest.raises(ClosedError, match="cannot go on"):
                await use
        await peer.send(b"still readable")
        assert await socket.readable.read() == b"still readable"
        await peer.send_eof()
        assert await socket.readable.read() == b""
        error = await outcome(socket.closed)
        assert isinstance(error, ClosedError)
        assert error.reason == "cannot go on"
        assert (await peer.receive_until_end())[1] == "reset"


async def test_abort_drops_what_is_queued_and_fails_who_waits() -> None:
    """K12: the write that waits raises."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address)
        async with await server.accept(), ending(socket):
            await socket.opened
            writer = socket.writable.get_writer()
            writing = asyncio.create_task(write_once(writer, bytes(32 << 20)))
            await asyncio.sleep(0)
            await writer.abort()
            with pytest.raises(ClosedError):
                await writing


async def test_a_reset_fails_who_waits() -> None:
    """K5: the write that waits raises what ended the connection."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            writer = socket.writable.get_writer()
            writing = asyncio.create_task(write_once(writer, bytes(32 << 20)))
            while writer.desired_size > 0:
                await asyncio.sleep(0)
            peer.abort()
            with pytest.raises(ResetError):
                await writing
            assert isinstance(await outcome(writer.closed), ResetError)
