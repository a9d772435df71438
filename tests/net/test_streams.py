"""Tests of ``longshore.net.streams``: the stream contract, and what only a descriptor can do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore import connect
from longshore.errors import ClosedError, ResetError
from longshore.net.streams import READS_IN_A_ROW, FdStream
from longshore.testing import STREAM_CHECKS, StreamCheck, StreamDriver, run_check
from tests.net.pairs import Recorder, driven, fd_stream_pair, poll_set_size
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from tests.testing.raw import RawPeer

NEAR = pytest.mark.parametrize("is_near", [False, True], ids=["far", "near"])


@NEAR
@pytest.mark.parametrize("check", STREAM_CHECKS, ids=lambda check: check.__name__)
async def test_it_keeps_the_contract(check: StreamCheck, is_near: bool) -> None:
    await run_check(check, partial(fd_stream_pair, is_near=is_near))


@NEAR
async def test_a_reset_before_the_first_look_is_an_error(is_near: bool) -> None:
    """K5: whoever asks the kernel first gets the error, the next one would be told end-of-file."""
    stream, peer = await fd_stream_pair(is_near=is_near)
    peer.abort()
    recorder = Recorder(stream)
    await recorder.wait_for("readable")
    for _ in range(3):
        with pytest.raises(ResetError):
            stream.try_read(100)
        with pytest.raises(ResetError):
            stream.peek()
    stream.close()


def test_a_reset_that_comes_with_bytes_is_noticed_on_a_loop_derived_from_uvloops() -> None:
    """K5: libuv forgets a descriptor at the first error, whatever the class of its loop is called."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = connect(server.getsockname())
            await client.opened
            peer, _ = server.accept()
        reading = asyncio.create_task(client.readable.read())
        await asyncio.sleep(0)  # until it waits for the loop to say so
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.send(b"last words")
        peer.close()
        async with asyncio.timeout(10):
            assert await reading == b"last words"
            with pytest.raises(ResetError):
                await client.readable.read()

    with asyncio.Runner(loop_factory=type("Loop", (uvloop.Loop,), {})) as runner:
        runner.run(main())


@NEAR
async def test_the_first_bytes_are_announced(is_near: bool) -> None:
    stream, peer = await fd_stream_pair(is_near=is_near)
    await peer.send(b"hello")
    recorder = Recorder(stream)
    await recorder.wait_for("readable")
    assert stream.try_read(100) == b"hello"
    assert stream.try_read(100) is None
    recorder.heard.clear()
    await peer.send(b"again")
    await recorder.wait_for("readable")
    assert stream.try_read(2) == b"ag"
    assert stream.try_read(100) == b"ain"
    stream.close()
    peer.close()


async def test_an_error_met_by_a_write_is_the_readers_too() -> None:
    """K5: a failed send(2) eats the pending error, after which recv(2) says end-of-file."""
    stream, peer = await fd_stream_pair()
    Recorder(stream)
    peer.abort()
    with contextlib.suppress(ResetError):
        while True:
            stream.try_write(b"x")
    with pytest.raises(ResetError):
        stream.try_read(100)
    with pytest.raises(ResetError):
        stream.try_write(b"x")
    stream.close()


async def test_what_came_before_the_failure_can_still_be_read() -> None:
    stream, peer = await fd_stream_pair()
    recorder = Recorder(stream)
    await peer.send(b"last words")
    await recorder.wait_for("readable")
    peer.abort()
    await recorder.wait_for("broken")
    assert isinstance(recorder.errors[0], ResetError)
    assert stream.try_read(100) == b"last words"
    with pytest.raises(ResetError):
        stream.try_read(100)
    stream.close()


@pytest.mark.one_loop("asyncio")
async def test_a_socket_that_nobody_reads_leaves_the_poll_set() -> None:
    """A level-triggered loop would spin; K12: nothing is read instead."""
    stream, peer = await fd_stream_pair()
    recorder = Recorder(stream)
    await peer.send(b"unread")
    sock = stream._sock
    assert sock is not None
    while poll_set_size(sock):
        await asyncio.sleep(0)
    assert recorder.heard == ["readable"]
    assert stream.try_read(100) == b"unread"
    assert poll_set_size(sock)
    stream.close()
    peer.close()


async def test_a_reader_that_never_waits_goes_through_the_loop_now_and_then() -> None:
    async with driven() as (driver, peer):
        sending = asyncio.create_task(peer.send(bytes(4 << 20)))
        received = longest = 0
        while received < 4 << 20:
            row = 0
            while (data := driver.stream.try_read(4096)) is not None:
                received += len(data)
                row += 1
            longest = max(longest, row)
            if received < 4 << 20:
                received += len(await driver.receive(4096))
        await sending
        assert longest <= READS_IN_A_ROW


async def test_reads_grow_with_what_arrives() -> None:
    async with driven() as (driver, peer):
        sending = asyncio.create_task(peer.send(bytes(4 << 20)))
        sizes = [len(await driver.receive(1 << 20))]
        while sum(sizes) < 4 << 20:
            sizes.append(len(await driver.receive(1 << 20)))
        await sending
        assert max(sizes) > 16 * sizes[0] or max(sizes) >= 64 * 1024


async def test_close_leaves_no_descriptor_and_keeps_its_answers_errors() -> None:
    stream, peer = await fd_stream_pair()
    Recorder(stream)
    assert stream.fileno() >= 0
    stream.close()
    stream.close()
    stream.abort()
    assert stream.fileno() == -1
    for call in (stream.peek, stream.try_write_eof, partial(stream.try_read, 1), partial(stream.try_write, b"x")):
        with pytest.raises(ClosedError, match="is closed"):
            call()
    Recorder(stream)  # as an adapter might that does not know yet
    assert await peer.receive_until_end() == (b"", "eof")
    peer.close()


async def test_close_does_not_read_for_ever_what_nobody_wants() -> None:
    stream, peer = await fd_stream_pair()
    recorder = Recorder(stream)
    flood = asyncio.create_task(flood_until_reset(peer))
    await recorder.wait_for("readable")
    stream.close()
    await flood
    peer.close()


async def flood_until_reset(peer: RawPeer) -> None:
    """Send for as long as the other side is there."""
    with contextlib.suppress(ConnectionError):
        while True:
            await peer.send(bytes(1 << 20))


async def test_a_shutdown_that_fails_is_an_error() -> None:
    stream, peer = await fd_stream_pair()
    peer.abort()
    while True:  # until the reset has arrived
        try:
            stream._sock.send(b"")  # type: ignore[union-attr]  # open
            await asyncio.sleep(0)
            stream._sock.getpeername()  # type: ignore[union-attr]  # open
        except OSError:
            break
    with pytest.raises(ResetError):
        stream.try_write_eof()
    stream.close()


async def test_unix_sockets_are_streams_too() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    driver = StreamDriver(FdStream(near, loop, "the pair"))
    with far:
        await driver.send(b"ping")
        assert await loop.sock_recv(far, 100) == b"ping"
        await loop.sock_sendall(far, b"pong")
        assert await driver.receive() == b"pong"
    assert await driver.receive() == b""
    driver.close()


async def test_bytes_before_a_reset_are_read_to_the_last_however_small_the_pieces() -> None:
    """Rule K5: after the reset was noticed no event comes any more, and none is needed for what arrived before it."""
    payload = bytes(range(4 * READS_IN_A_ROW))
    with RawServer() as server:
        socket = connect(server.address)
        peer = await server.accept()
        await peer.send(payload)
        assert await socket.readable.read(1) == payload[:1]
        peer.abort()
        with pytest.raises(ResetError):
            await socket.closed
        received = [await socket.readable.read(1) for _ in payload[1:]]
        assert b"".join(received) == payload[1:]
        with pytest.raises(ResetError):
            await socket.readable.read(1)


@NEAR
async def test_a_stream_can_be_given_up_with_everything_that_is_in_it(is_near: bool) -> None:
    stream, peer = await fd_stream_pair(is_near=is_near)
    recorder = Recorder(stream)
    await peer.send(b"unread")
    await recorder.wait_for("readable")
    with stream.detach() as sock:
        assert stream.fileno() == -1
        assert sock.recv(100) == b"unread"
        with pytest.raises(ClosedError):
            stream.detach()
    assert (await peer.receive_until_end()) == (b"", "eof")
    peer.close()
