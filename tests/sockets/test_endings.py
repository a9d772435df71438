"""What is left to do with a socket that has ended: nothing hangs, nothing lies, nothing stays open (K5, K6, K8)."""

from __future__ import annotations

import asyncio

import pytest

from longshore import ClosedError, ConnectError, ResetError, connect
from tests.loops import open_sockets
from tests.testing.raw import RawServer


async def test_closing_the_writable_of_a_socket_that_never_connected_raises_why() -> None:
    socket = connect("127.0.0.1:1")
    writer = socket.writable.get_writer()
    with pytest.raises(ConnectError):
        await socket.opened
    for _ in range(2):
        with pytest.raises(ConnectError):
            await writer.close()
    with pytest.raises(ConnectError):
        await writer.closed


async def test_closing_the_writable_of_an_aborted_socket_raises() -> None:
    with RawServer() as server:
        socket = connect(server.address)
        async with await server.accept():
            await socket.opened
            socket.abort()
            with pytest.raises(ClosedError, match="was aborted"):
                await socket.writable.close()


async def test_no_fin_follows_an_aborted_writable() -> None:
    """K5: bytes were dropped, so the peer must not take the end for the end."""
    with RawServer() as server:
        socket = connect(server.address)
        async with await server.accept() as peer:
            await socket.writable.write(b"part")
            await socket.writable.abort("enough")
            with pytest.raises(ClosedError, match="had its writable aborted: enough"):
                await socket.writable.close()
            with pytest.raises(ClosedError):
                await socket.close()
            received, end = await peer.receive_until_end()
            assert b"part".startswith(received)
            assert end == "reset"


@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_ending_a_broken_socket_drops_what_was_not_read(ending: str) -> None:
    """Bytes behind a reset stay readable; who ends the socket instead gets its descriptor back at once."""
    with RawServer() as server:
        before = open_sockets()
        socket = connect(server.address)
        peer = await server.accept()
        await socket.opened
        await peer.send(b"unread")
        for _ in range(20):
            await asyncio.sleep(0)
        peer.abort()
        with pytest.raises(ResetError):
            await socket.closed
        assert open_sockets() > before
        getattr(socket, ending)()
        assert open_sockets() == before
        with pytest.raises(ClosedError):
            await socket.readable.read()
        with pytest.raises(ResetError):
            await socket.closed


async def test_a_broken_socket_is_released_when_the_last_byte_is_read() -> None:
    with RawServer() as server:
        before = open_sockets()
        socket = connect(server.address)
        peer = await server.accept()
        await socket.opened
        await peer.send(b"unread")
        for _ in range(20):
            await asyncio.sleep(0)
        peer.abort()
        with pytest.raises(ResetError):
            await socket.closed
        assert await socket.readable.read(3) == b"unr"
        assert await socket.readable.read() == b"ead"
        with pytest.raises(ResetError):
            await socket.readable.read()
        assert open_sockets() == before


async def test_the_streams_of_an_upgraded_socket_tell_so() -> None:
    """K9: whoever waits for the old writer's end hears of the upgrade."""
    with RawServer() as server:
        old = connect(server.address, secure_transport="starttls")
        async with await server.accept():
            await old.opened
            writer, reader = old.writable.get_writer(), old.readable.get_reader()
            promises = [writer.closed, reader.closed]
            writer.release_lock()
            reader.release_lock()
            new = old.start_tls()
            for promise in promises:
                with pytest.raises(ClosedError, match="use the socket that it returned"):
                    await promise
            with pytest.raises(ClosedError, match="use the socket that it returned"):
                await old.writable.close()
            new.abort()
            with pytest.raises(ClosedError):
                await new.closed
