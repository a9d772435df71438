"""``ReadableStream`` and its reader."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket as system
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from longshore import ArgumentTypeError, ArgumentValueError, ClosedError, ResetError, Socket, UsageError, connect
from longshore.testing._tcp import wait_acknowledged
from tests.loopback import ending, linked, linked_tls, outcome
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    import ssl

    from longshore import TlsOptions


def unread_bytes(socket: Socket) -> int:
    """Return how many bytes wait in the kernel."""
    stream = socket._channel.stream
    assert stream is not None
    with system.socket(fileno=os.dup(stream.fileno())) as same:
        return int.from_bytes(fcntl.ioctl(same.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)


# -- K12: reads are pulled -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["off", "starttls"])
async def test_nothing_is_read_before_somebody_asks(mode: str) -> None:
    """K12: what arrives stays in the kernel, to the last byte."""
    async with linked(secure_transport=mode) as (socket, peer):
        await peer.send(bytes(1000))
        await wait_acknowledged(peer.sock)
        for _ in range(5):  # turns in which a read-ahead would happen
            await asyncio.sleep(0)
        assert unread_bytes(socket) == 1000


@pytest.mark.parametrize("mode", ["off", "starttls"])
async def test_no_more_is_read_than_was_asked_for(mode: str) -> None:
    """K12: ``max_bytes`` bounds what leaves the kernel too."""
    async with linked(secure_transport=mode) as (socket, peer):
        await peer.send(bytes(1000))
        await wait_acknowledged(peer.sock)
        assert len(await socket.readable.read(10)) == 10
        assert unread_bytes(socket) == 990
        assert await socket.readable.read_into(bytearray(90)) == 90
        assert unread_bytes(socket) == 900


async def test_a_peer_that_floods_costs_bounded_memory() -> None:
    """K12: with nobody reading, the flood stops at the kernel's buffers."""
    async with linked() as (socket, peer):
        flooding = asyncio.create_task(peer.send(bytes(64 << 20)))
        while not unread_bytes(socket):
            await asyncio.sleep(0)
        assert not flooding.done()
        flooding.cancel()
        await asyncio.wait([flooding])


# -- K15: reading --------------------------------------------------------------------------------


async def test_read_returns_what_is_there() -> None:
    """K15: at least a byte, at most ``max_bytes``, ``b""`` at the end and for ever after."""
    async with linked() as (socket, peer):
        await peer.send(b"abcdef")
        await peer.send_eof()
        assert await socket.readable.read(4) == b"abcd"
        assert await socket.readable.read(4) == b"ef"
        assert [await socket.readable.read() for _ in range(3)] == [b""] * 3


@pytest.mark.parametrize("make", [bytearray, lambda size: memoryview(bytearray(size))])
async def test_read_into_fills_the_front_of_the_buffer(make: Any) -> None:
    """K15: the count, 0 at the end; a slice of a view is filled in place."""
    async with linked() as (socket, peer):
        await peer.send(b"abcdef")
        await peer.send_eof()
        buffer = make(4)
        assert await socket.readable.read_into(memoryview(buffer)[1:]) == 3
        assert bytes(buffer) == b"\0abc"
        assert await socket.readable.read_into(buffer) == 3
        assert bytes(buffer)[:3] == b"def"
        assert await socket.readable.read_into(buffer) == 0


async def test_read_into_other_formats() -> None:
    """K15: any contiguous memory will do; it is filled as bytes."""
    async with linked() as (socket, peer):
        await peer.send(b"\1\0\2\0")
        numbers = memoryview(bytearray(4)).cast("H")
        assert await socket.readable.read_into(numbers) == 4
        assert numbers.tolist() == [1, 2]


async def test_a_read_that_waits_gets_what_comes() -> None:
    """K15: it is woken by the bytes."""
    async with linked() as (socket, peer):
        reading = asyncio.create_task(anext(socket.readable))
        await asyncio.sleep(0)
        await peer.send(b"here")
        assert await reading == b"here"


async def test_a_second_pending_read_is_a_usage_error() -> None:
    """K15: the first one goes on waiting."""
    async with linked() as (socket, peer):
        reading = asyncio.create_task(anext(socket.readable))
        await asyncio.sleep(0)
        for again in (socket.readable.read(), socket.readable.read_into(bytearray(1))):
            with pytest.raises(UsageError, match="already pending"):
                await again
        with pytest.raises(UsageError, match="read is pending"):
            socket.readable.get_reader()
        await peer.send(b"first")
        assert await reading == b"first"


async def test_a_cancelled_read_loses_nothing() -> None:
    """K13: the bytes are for the next one."""
    async with linked() as (socket, peer):
        reading = asyncio.create_task(anext(socket.readable))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        await peer.send(b"kept")
        assert await socket.readable.read() == b"kept"


@pytest.mark.parametrize(
    ("max_bytes", "error"),
    [(0, ArgumentValueError), (-1, ArgumentValueError), (1.0, ArgumentTypeError), (True, ArgumentTypeError)],
)
async def test_a_wrong_bound_is_refused_at_the_call(max_bytes: Any, error: type[Exception]) -> None:
    """K15: before anything is awaited."""
    async with linked() as (socket, _):
        with pytest.raises(error, match="max_bytes"):
            _ = socket.readable.read(max_bytes)


@pytest.mark.parametrize(
    ("buffer", "error", "says"),
    [
        (b"read only", ArgumentTypeError, "read-only"),
        (bytearray(), ArgumentValueError, "empty"),
        ("text", ArgumentTypeError, "contiguous memory"),
        (memoryview(bytearray(8))[::2], ArgumentTypeError, "contiguous memory"),
    ],
)
async def test_a_wrong_buffer_is_refused_at_the_call(buffer: Any, error: type[Exception], says: str) -> None:
    """K15: and says what is wrong with it."""
    async with linked() as (socket, _):
        with pytest.raises(error, match=says):
            _ = socket.readable.read_into(buffer)


# -- K15: locks ----------------------------------------------------------------------------------


async def test_a_reader_locks_the_stream() -> None:
    """K15: everything else is refused until it is released."""
    async with linked() as (socket, peer):
        stream = socket.readable
        assert stream is socket.readable
        reader = stream.get_reader()
        assert stream.locked
        for use in (stream.read, stream.get_reader, stream.tee, lambda: stream.read_into(bytearray(1))):
            with pytest.raises(UsageError, match="locked"):
                use()
        for waiting in (stream.cancel(), anext(stream), stream.pipe_to(socket.writable)):
            with pytest.raises(UsageError, match="locked"):
                await waiting
        await peer.send(b"read by the reader")
        assert await reader.read() == b"read by the reader"
        reader.release_lock()
        reader.release_lock()
        assert not socket.readable.locked
        await peer.send(b"and now by the stream")
        assert await stream.read() == b"and now by the stream"


async def test_a_released_reader_is_of_no_use() -> None:
    """K15: and does not release the next one's lock."""
    async with linked() as (socket, _):
        old = socket.readable.get_reader()
        old.release_lock()
        new = socket.readable.get_reader()
        old.release_lock()
        assert socket.readable.locked
        for use in (old.read, lambda: old.read_into(bytearray(1))):
            with pytest.raises(UsageError, match="released"):
                use()
        with pytest.raises(UsageError, match="released"):
            await old.cancel()
        new.release_lock()


async def test_a_reader_with_a_pending_read_is_not_released() -> None:
    """K15: the read would belong to nobody."""
    async with linked() as (socket, peer):
        reader = socket.readable.get_reader()
        reading = asyncio.create_task(anext(reader))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="pending read"):
            reader.release_lock()
        await peer.send(b"x")
        assert await reading == b"x"
        reader.release_lock()


# -- K15: the end --------------------------------------------------------------------------------


async def test_the_readers_closed_tells_the_end() -> None:
    """K6: it resolves at end-of-file; a reader that comes later knows it at once."""
    async with linked(allow_half_open=True) as (socket, peer):
        reader = socket.readable.get_reader()
        assert not reader.closed.done()
        await peer.send_eof()
        assert await reader.read() == b""
        await reader.closed
        reader.release_lock()
        assert socket.readable.get_reader().closed.done()


async def test_cancel_discards_and_leaves_writing_alone() -> None:
    """K15: reads return end-of-file, the peer's bytes do not pile up, the write side works."""
    async with linked() as (socket, peer):
        reader = socket.readable.get_reader()
        await reader.cancel("not interested")
        await reader.closed
        assert await reader.read() == b""
        await peer.send(bytes(32 << 20))
        await socket.writable.write(b"still here")
        assert await peer.receive_exactly(10) == b"still here"
        assert not socket.closed.done()


async def test_cancel_wakes_the_read_that_waits() -> None:
    """K15: with end-of-file, as the WHATWG standard says."""
    async with linked() as (socket, _):
        reader = socket.readable.get_reader()
        reading = asyncio.create_task(read_all(reader))
        await asyncio.sleep(0)
        await reader.cancel()
        assert await reading == b""


async def read_all(chunks: Any) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_cancel_and_the_end_of_writing_end_the_socket() -> None:
    """K6: both directions are over, so ``closed`` resolves."""
    async with linked() as (socket, peer):
        await socket.readable.cancel()
        await socket.writable.close()
        await socket.closed
        assert (await peer.receive_until_end())[0] == b""


async def test_cancel_before_the_connection_is_up() -> None:
    """K15: it holds from the first byte on."""
    with RawServer() as server:
        socket = connect(server.address)
        await socket.readable.cancel()
        assert not socket.opened.done()
        async with await server.accept() as peer, ending(socket):
            await peer.send(b"nobody wants this")
            await socket.writable.write(b"but this")
            assert await peer.receive_exactly(8) == b"but this"
            assert await read_all(socket.readable) == b""


async def test_a_reset_after_cancel_is_told_by_closed() -> None:
    """K5: reads have ended on request, but the socket did not end well."""
    async with linked() as (socket, peer):
        await socket.readable.cancel()
        peer.abort()
        assert isinstance(await outcome(socket.closed), ResetError)


async def test_the_readers_closed_tells_the_failure() -> None:
    """K5: the same error that reads raise."""
    async with linked() as (socket, peer):
        reader = socket.readable.get_reader()
        peer.abort()
        error = await outcome(reader.closed)
        assert isinstance(error, ResetError)
        with pytest.raises(ResetError) as caught:
            await reader.read()
        assert caught.value is error


async def test_reading_after_close_raises() -> None:
    """K5: what this side closed is no end-of-file either."""
    async with linked() as (socket, peer):
        await peer.send(b"unread")
        await socket.close("done here")
        with pytest.raises(ClosedError, match="done here"):
            await socket.readable.read()


async def test_tls_reads_are_pulled(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K12: under TLS the flood stops too: one piece of ciphertext is held, no more."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
        flooding = asyncio.create_task(peer.send(bytes(32 << 20)))
        while not unread_bytes(socket):
            await asyncio.sleep(0)
        assert len(await socket.readable.read(100)) == 100
        assert not flooding.done()
        flooding.cancel()
        await asyncio.wait([flooding])
