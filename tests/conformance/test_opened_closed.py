"""``opened`` and ``closed``: cases 3 to 5, 12 to 14, 16 and 47 of docs/conformance.md, and the EOF-signal rules."""

from __future__ import annotations

import asyncio
import gc

import pytest

from longshore import ConnectError, Socket, connect, set_default_dialer
from longshore.testing import MemoryDialer, RoutedDialer
from tests.loopback import ending, linked, outcome
from tests.testing.raw import RawServer


async def test_a_default_outbound_gets_every_connection_and_carries_both_directions() -> None:
    """K15: ``writer.close()`` ends one direction only, the answer to it is still read."""
    with RawServer() as server:
        former = set_default_dialer(RoutedDialer({"subhost:123": server.address}))
        try:
            socket = connect("subhost:123")
        finally:
            set_default_dialer(former)
        async with await server.accept() as peer:
            writer = socket.writable.get_writer()
            await writer.write(b"hello")
            await writer.close()
            assert await peer.receive_until_end() == (b"hello", "eof")
            await peer.send(b"goodbye")
            assert await socket.readable.read() == b"goodbye"
            await socket.close()


async def test_an_outbound_that_cannot_connect_rejects_opened() -> None:
    """K6: ``opened`` and ``closed`` settle with the dialer's own error."""
    dialer, error = MemoryDialer(), ConnectError("nobody handles connections here", address="subhost:123")
    dialer.fail_with(error)
    socket = connect("subhost:123", dialer=dialer)
    assert await outcome(socket.opened) is error
    assert await outcome(socket.closed) is error


async def test_an_outbound_may_pass_a_destination_through() -> None:
    """K3: what passes is the address that was written, unchanged."""
    with RawServer() as server:
        socket = connect(server.address, dialer=RoutedDialer({}, pass_through=True))
        async with await server.accept() as peer, socket:
            await peer.send(b"goodbye")
            assert (await socket.opened).remote_address == server.address
            assert await socket.readable.read() == b"goodbye"


async def test_async_for_reads_everything_and_closed_resolves() -> None:
    """K7: reading to the end with ``async for`` closes the write side, and so the socket."""
    async with linked() as (socket, peer):
        await peer.send(b"hello")
        await peer.send_eof()
        assert b"".join([chunk async for chunk in socket.readable]) == b"hello"
        await socket.closed
        assert await peer.receive_until_end() == (b"", "eof")


async def test_two_pipes_make_a_proxy_and_both_sockets_close() -> None:
    """K7: the end travels through pipes like the bytes do."""
    async with linked() as (left, left_peer), linked() as (right, right_peer):
        pipes = asyncio.gather(left.readable.pipe_to(right.writable), right.readable.pipe_to(left.writable))
        await left_peer.send(b"hello")
        assert await right_peer.receive_exactly(5) == b"hello"
        await right_peer.send(b"hello-from-endpoint")
        await right_peer.send_eof()
        assert await left_peer.receive_until_end() == (b"hello-from-endpoint", "eof")
        await left_peer.send_eof()
        await pipes
        await left.closed
        await right.closed


async def test_opened_tells_the_real_addresses_of_both_ends() -> None:
    """K3: ``remote_address`` and ``local_address`` are those of the connection, not those of the request."""
    async with linked() as (socket, peer):
        info = await socket.opened
        host, port = peer.sock.getpeername()
        assert info.local_address == f"{host}:{port}"
        assert info.remote_address == "{}:{}".format(*peer.sock.getsockname())


async def test_close_flushes_although_nobody_holds_the_socket() -> None:
    """K8: ``p = socket.close()``, the socket is dropped and collected, ``p`` resolves when all is sent."""
    with RawServer() as server:
        socket: Socket | None = connect(server.address, high_water_mark=1 << 21)
        async with await server.accept() as peer:
            assert socket is not None
            await socket.opened
            writer = socket.writable.get_writer()
            await writer.write(bytes(1 << 20))
            writer.release_lock()
            closed = socket.close()
            del writer
            socket = None
            for _ in range(3):
                gc.collect()
            data, end = await peer.receive_until_end()
            assert (len(data), end) == (1 << 20, "eof")
            await closed


async def test_a_reader_that_reaches_the_end_ends_the_socket() -> None:
    """K7: the EOF signal fires for a reader."""
    async with linked() as (socket, peer):
        await peer.send_eof()
        assert await socket.readable.get_reader().read() == b""
        await socket.closed


async def test_draining_with_read_into_ends_the_socket() -> None:
    """K7: the EOF signal fires for whoever drains the stream, BYOB reads included."""
    async with linked() as (socket, peer):
        await peer.send(b"body")
        await peer.send_eof()
        buffer = bytearray(64)
        assert await socket.readable.read_into(buffer) == 4
        assert await socket.readable.read_into(buffer) == 0
        await socket.closed


async def test_cancel_alone_does_not_end_the_socket() -> None:
    """K7: cancelling is no end-of-file; the write side stays open and the peer's later FIN is still noticed."""
    async with linked() as (socket, peer):
        await socket.readable.cancel()
        await socket.writable.write(b"still here")
        assert await peer.receive_exactly(10) == b"still here"
        assert not socket.closed.done()
        await peer.send_eof()
        await socket.closed


async def test_a_pipe_to_another_socket_ends_the_source() -> None:
    """K7: workerd's native extraction misses the EOF signal and leaks; here a pipe is a reader like any other."""
    async with linked() as (source, source_peer), linked(allow_half_open=True) as (sink, sink_peer):
        await source_peer.send(b"all of it")
        await source_peer.send_eof()
        await source.readable.pipe_to(sink.writable)
        await source.closed
        assert await sink_peer.receive_until_end() == (b"all of it", "eof")


async def test_a_teed_stream_ends_its_source() -> None:
    """K7: two branches drain one socket; its end is the end of both and of the socket."""
    async with linked() as (socket, peer):
        first, second = socket.readable.tee()
        await peer.send(b"twice")
        await peer.send_eof()
        for branch in (first, second):
            assert b"".join([chunk async for chunk in branch]) == b"twice"
        await socket.closed


async def test_closed_resolves_on_explicit_close() -> None:
    """K8: ``close()`` resolves ``closed``, and returns it."""
    async with linked() as (socket, peer):
        promise = socket.close()
        assert promise is socket.closed
        await promise
        assert await peer.receive_until_end() == (b"", "eof")


async def test_awaiting_opened_and_closed_again_gives_the_same() -> None:
    """K6: both are settled once and may be awaited any number of times, by any number of tasks."""
    async with linked() as (socket, _):
        assert await socket.opened is await socket.opened
        await asyncio.gather(socket.close(), socket.closed, socket.close())
        await socket.closed


async def test_two_sockets_in_a_row_echo_through_each_other() -> None:
    """K15: two hops, as an interceptor that forwards a socket makes them."""
    async with linked() as (near, near_peer), linked() as (far, far_peer), ending(near, far):
        await near.writable.write(b"ping")
        await far.writable.write(await near_peer.receive_exactly(4))
        await far_peer.send(await far_peer.receive_exactly(4))
        await near_peer.send(await far.readable.read())
        assert await near.readable.read() == b"ping"


async def test_a_socket_is_made_by_connect_only() -> None:
    """K1: the constructor needs what only ``connect()`` has."""
    with pytest.raises(TypeError):
        Socket()  # type: ignore[call-arg]  # that is the point
