"""``Socket.as_anyio_stream()``: the stream that anyio's own tools and anyio programs expect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.abc import ByteStream

from longshore import ClosedError, ConnectError, ResetError, SocketError, TlsError, UsageError, connect
from tests.link import BIG, turns
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from tests.link import Link


async def test_both_directions_to_a_clean_end(link: Link) -> None:
    """K10: ``send_eof`` works under TLS, where anyio's own raises ``NotImplementedError``."""
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        assert isinstance(stream, ByteStream)
        await stream.send(b"question")
        await stream.send_eof()
        assert await peer.receive_until_end() == (b"question", "eof")
        await peer.send(b"answer")
        await peer.send_eof()
        assert await stream.receive(3) == b"ans"
        assert await stream.receive() == b"wer"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()


async def test_iteration_and_large_data(link: Link) -> None:
    async with link(allow_half_open=True) as (socket, peer), socket.as_anyio_stream() as stream:

        async def answer() -> None:
            received = bytearray()
            while len(received) < len(BIG):
                received += await peer.receive()
            await peer.send(bytes(received))
            await peer.send_eof()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            await stream.send(BIG)
            assert b"".join([chunk async for chunk in stream]) == BIG


async def test_the_cause_of_a_broken_stream_is_ours(link: Link) -> None:
    """K5: failure is never reported as end-of-file."""
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        await peer.send(b"half")
        assert await stream.receive() == b"half"
        peer.abort()
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, ResetError)
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.send(b"more")
        assert isinstance(caught.value.__cause__, ResetError)


@pytest.mark.parametrize("link", ["tls"], indirect=True)
async def test_a_cut_tls_stream_is_broken(link: Link) -> None:
    """K5."""
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        peer.close()
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, TlsError)


async def test_a_failed_connect_is_broken() -> None:
    stream = connect((HOST, free_port())).as_anyio_stream()
    assert not stream.extra_attributes
    for call in (stream.receive(), stream.send(b"x"), stream.send_eof()):
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await call
        assert isinstance(caught.value.__cause__, ConnectError)
    await stream.aclose()  # it was told


async def test_a_closed_stream_says_so(link: Link) -> None:
    async with link() as (socket, peer):
        stream = socket.as_anyio_stream()
        await stream.send(b"last")
        receiving = asyncio.ensure_future(stream.receive())
        await turns()
        await stream.aclose()
        await stream.aclose()
        assert await peer.receive_until_end() == (b"last", "eof")
        for call in (receiving, stream.receive(), stream.send(b"x"), stream.send_eof()):
            with pytest.raises(anyio.ClosedResourceError):
                await call


async def test_sending_after_send_eof_is_sending_on_a_closed_stream(link: Link) -> None:
    async with link() as (socket, _), socket.as_anyio_stream() as stream:
        await stream.send_eof()
        await stream.send_eof()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"late")


async def test_the_end_of_the_peer_breaks_sending_unless_half_open(link: Link) -> None:
    """K7."""
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        await peer.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.send(b"more")
        assert isinstance(caught.value.__cause__, ClosedError)
    async with link(allow_half_open=True) as (socket, peer), socket.as_anyio_stream() as stream:
        await peer.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send(b"more")
        assert await peer.receive() == b"more"


async def test_one_task_for_each_direction(link: Link) -> None:
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        receiving = asyncio.ensure_future(stream.receive())
        sending = asyncio.ensure_future(stream.send(BIG))
        await turns()
        with pytest.raises(anyio.BusyResourceError):
            await stream.receive()
        with pytest.raises(anyio.BusyResourceError):
            await stream.send(b"x")
        with pytest.raises(anyio.BusyResourceError):
            await stream.send_eof()
        await peer.send(b"x")
        assert await receiving == b"x"
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        socket.abort()


async def test_a_failure_that_nobody_met_is_told_by_aclose(link: Link) -> None:
    async with link() as (socket, peer):
        stream = socket.as_anyio_stream()
        await stream.send(b"lost?")
        peer.abort()
        with pytest.raises(ResetError):
            await socket.closed
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.aclose()
        assert isinstance(caught.value.__cause__, ResetError)
        await stream.aclose()


async def test_aclose_that_is_cancelled_resets(link: Link) -> None:
    """K13: anyio's rule is that the stream is closed also then."""
    async with link() as (socket, peer):
        stream = socket.as_anyio_stream()
        sending = asyncio.ensure_future(stream.send(BIG))
        await turns()
        sending.cancel()
        await anyio.aclose_forcefully(stream)
        received, end = await peer.receive_until_end()
        assert (len(received) < len(BIG), end) == (True, "reset")
        with pytest.raises(SocketError):
            await socket.closed
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_cancelled_receive_loses_nothing(link: Link) -> None:
    """K13, with the scopes of anyio."""
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(scope.cancel)
            await stream.receive()
        assert scope.cancelled_caught
        await peer.send(b"all of it")
        assert await stream.receive() == b"all of it"


async def test_a_locked_socket_is_not_adapted(link: Link) -> None:
    async with link() as (socket, _):
        reader = socket.readable.get_reader()
        with pytest.raises(UsageError, match="locked"):
            socket.as_anyio_stream()
        reader.release_lock()
        socket.as_anyio_stream()
        with pytest.raises(UsageError, match="locked"):
            socket.as_anyio_stream()
