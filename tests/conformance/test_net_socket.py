"""``node:net``, section 3.6 of docs/conformance.md: a socket that is open, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    ArgumentTypeError,
    ClosedError,
    ResetError,
    Socket,
    connect,
)
from longshore.testing import MemoryDialer
from tests.loopback import ending, linked, outcome
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo(peer: RawPeer) -> None:
    """Send everything back, then end."""
    while data := await peer.receive():
        await peer.send(data)
    await peer.send_eof()


@asynccontextmanager
async def echoed(**options: Any) -> AsyncIterator[Socket]:
    """Give a connected socket whose peer echoes."""
    async with linked(**options) as (socket, peer):
        echoing = asyncio.create_task(echo(peer))
        yield socket
        await echoing


async def read_to_end(socket: Socket) -> bytes:
    return b"".join([chunk async for chunk in socket.readable])


def touch(socket: Socket) -> None:
    """Use every attribute."""
    writer = socket.writable.get_writer()
    assert writer.desired_size >= 0
    writer.release_lock()
    socket.readable.get_reader().release_lock()
    assert (socket.readable.locked, socket.writable.locked, socket.upgraded) == (False, False, False)
    assert socket.secure_transport == "off"
    assert str(socket.address) in repr(socket)
    assert repr(socket.opened) != repr(socket.closed) or not socket.opened.done()


async def test_attributes_work_after_close() -> None:
    """K6: after the end every attribute still answers."""
    async with linked() as (socket, _):
        await socket.close()
        touch(socket)


async def test_attributes_work_while_it_closes() -> None:
    """K8: and also between ``close()`` and its end."""
    async with linked() as (socket, _):
        closing = socket.close()
        touch(socket)
        await closing


async def test_each_end_is_told_once() -> None:
    """K6: the peer's end settles the readable, the writable and the socket, each exactly once."""
    settled: list[str] = []
    async with linked() as (socket, peer):
        reader, writer = socket.readable.get_reader(), socket.writable.get_writer()
        for name, promise in (("end", reader.closed), ("finish", writer.closed), ("close", socket.closed)):
            promise.add_done_callback(partial(note, settled, name))
        await peer.send_eof()
        assert await reader.read() == b""
        await socket.closed
        await socket.close()
        await asyncio.sleep(0)
        assert sorted(settled) == ["close", "end", "finish"]


def note(settled: list[str], name: str, _: object) -> None:
    settled.append(name)


async def test_every_byte_value_comes_back() -> None:
    """K2: bytes 255 to 0, one write each, then a half close; the echo is identical."""
    async with echoed(allow_half_open=True) as socket:
        for value in range(255, -1, -1):
            await socket.writable.write(bytes([value]))
        await socket.writable.close()
        assert await read_to_end(socket) == bytes(range(255, -1, -1))


async def test_queued_bytes_are_counted_until_they_leave() -> None:
    """K12: ``desired_size`` shrinks by what waits, and is whole again when it left."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    async with ending(socket):
        writer = socket.writable.get_writer()
        assert writer.desired_size == 65536
        await writer.write(b"a")
        assert writer.desired_size == 65535
        dialer.release()
        await socket.opened
        assert writer.desired_size == 65536
        (await dialer.accept()).close()


async def test_ten_million_bytes_arrive() -> None:
    """K12: one large write is taken in pieces and arrives whole."""
    async with linked() as (socket, peer):
        writing = asyncio.create_task(read_count(peer))
        await socket.writable.write(bytes(10_000_000))
        await socket.writable.close()
        assert await writing == 10_000_000


async def read_count(peer: RawPeer) -> int:
    return len((await peer.receive_until_end())[0])


async def test_data_arrives_after_a_wait_that_timed_out() -> None:
    """K13: a read that gave up loses nothing: the next one gets the bytes, then the end."""
    async with linked() as (socket, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await socket.readable.read()
        await peer.send(b"WHAT.")
        await peer.send_eof()
        assert await read_to_end(socket) == b"WHAT."


async def test_an_early_write_counts_utf8_bytes_and_is_echoed() -> None:
    """K2: text written while the socket is opening waits as UTF-8 and comes back whole."""
    text = "Håkan mår bra 🙂" * 100
    with RawServer() as server:
        socket = connect(server.address, allow_half_open=True)
        writer = socket.writable.get_writer()
        await writer.write(text)
        assert writer.desired_size == 65536 - len(text.encode())
        assert not socket.opened.done()
        async with await server.accept() as peer:
            echoing = asyncio.create_task(echo(peer))
            await writer.close()
            assert (await read_to_end(socket)).decode() == text
            await echoing
            await socket.closed


async def test_ending_the_write_side_before_it_is_open() -> None:
    """K2: the FIN is queued like early bytes are, and follows them."""
    with RawServer() as server:
        socket = connect(server.address, allow_half_open=True)
        await socket.writable.write(b"in time")
        ending_write = asyncio.create_task(socket.writable.close())
        async with await server.accept() as peer, socket:
            assert await peer.receive_until_end() == (b"in time", "eof")
            await ending_write
            await socket.opened


async def test_a_closed_socket_is_collected() -> None:
    """K13: nothing of a finished socket stays in memory."""
    with RawServer() as server:
        socket: Socket | None = connect(server.address)
        assert socket is not None
        channel = weakref.ref(socket._channel)
        await socket.opened
        await socket.close()
        socket = None
        await asyncio.sleep(0)  # the callbacks of the finished connect
        gc.collect()
        assert channel() is None


async def test_unread_bytes_do_not_hold_up_the_end() -> None:
    """K8: a socket nobody reads ends when it is told to."""
    async with linked() as (socket, peer):
        await peer.send(b"never read")
        await socket.close()
        assert await peer.receive_until_end() == (b"", "eof")


async def test_a_long_multibyte_string_comes_back() -> None:
    """K12: 40 Ki characters of three bytes, split anywhere on the way."""
    text = "あ" * (40 << 10)
    async with echoed(allow_half_open=True) as socket:
        writing = asyncio.create_task(write_and_end(socket, text))
        assert (await read_to_end(socket)).decode() == text
        await writing


async def write_and_end(socket: Socket, text: str) -> None:
    await socket.writable.write(text)
    await socket.writable.close()


async def test_one_buffer_is_reused_for_every_read() -> None:
    """K15: ``read_into`` fills the caller's 1,024 bytes and says how many."""
    buffer = bytearray(1024)
    async with linked() as (socket, peer):
        for word in (b"hello", b"again"):
            await peer.send(word)
            assert await socket.readable.read_into(buffer) == 5
            assert bytes(buffer[:5]) == word
        assert len(buffer) == 1024


async def test_writing_after_abort_raises_and_abort_may_be_repeated() -> None:
    """K8: ``abort()`` is idempotent, its first reason stays."""
    async with linked() as (socket, _):
        socket.abort("first")
        socket.abort("second")
        with pytest.raises(ClosedError, match="first"):
            await socket.writable.write(b"lost")
        error = await outcome(socket.closed)
        assert isinstance(error, ClosedError)
        assert error.reason == "first"


async def test_the_end_of_the_write_side_can_be_awaited_again() -> None:
    """K15: ``writable.close()`` after the last write; a second one is no error."""
    async with linked(allow_half_open=True) as (socket, peer):
        await socket.writable.write("last words")
        await socket.writable.close()
        await socket.writable.close()
        assert await peer.receive_until_end() == (b"last words", "eof")


async def test_our_end_does_not_end_reading() -> None:
    """K7: after our FIN the peer may go on, also without ``allow_half_open``."""
    async with linked() as (socket, peer):
        await socket.writable.close()
        assert await peer.receive_until_end() == (b"", "eof")
        await peer.send(b"still talking")
        assert await socket.readable.read() == b"still talking"
        assert not socket.closed.done()


async def test_writing_after_close_raises() -> None:
    """K8: at once, and the queue is not touched."""
    async with linked() as (socket, _):
        await socket.close()
        with pytest.raises(ClosedError, match="is closed"):
            await socket.writable.write(b"late")


@pytest.mark.parametrize("value", [1337, None, 1.5, True, {}, [1], object()])
async def test_writing_something_else_than_bytes_leaves_the_stream_alone(value: Any) -> None:
    """K15: a type error for that write; the next one works."""
    async with linked() as (socket, peer):
        with pytest.raises(ArgumentTypeError, match="cannot write"):
            await socket.writable.write(value)
        await socket.writable.write(b"fine")
        assert await peer.receive_exactly(4) == b"fine"


async def test_many_small_early_writes_never_wait_below_the_mark() -> None:
    """K12: 100 double writes fit below the high-water mark: none of them suspends."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    async with ending(socket):
        for _ in range(100):
            for data in (b"one", b"two"):
                with pytest.raises(StopIteration):
                    socket.writable.write(data).send(None)


async def test_a_loss_after_end_of_file_is_reported() -> None:
    """K5: half-open, the server is gone: a write may still be taken, its loss is what ``closed`` says."""
    async with linked(allow_half_open=True) as (socket, peer):
        peer.close()
        assert await socket.readable.read() == b""
        await socket.writable.write(b"to nobody")
        assert isinstance(await outcome(socket.closed), ResetError)
        with pytest.raises(ResetError):
            await socket.writable.write(b"again")


async def test_an_early_write_that_waits_fails_when_the_socket_is_aborted() -> None:
    """K2: pending early bytes are not silently dropped."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer, high_water_mark=4)
    writing = asyncio.create_task(socket.writable.get_writer().write(b"hello"))
    await asyncio.sleep(0)
    assert not writing.done()
    socket.abort()
    with pytest.raises(ClosedError, match="aborted"):
        await writing
    await outcome(socket.closed)


async def test_writes_before_and_after_the_connect_keep_their_order() -> None:
    """K2: 'before' and ' after' arrive in that order."""
    with RawServer() as server:
        socket = connect(server.address)
        await socket.writable.write(b"before")
        async with await server.accept() as peer, socket:
            await socket.opened
            await socket.writable.write(b" after")
            assert await peer.receive_exactly(12) == b"before after"
