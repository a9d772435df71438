"""The writer of ``Socket.as_asyncio_streams()``: flow, half-close, endings, facts, and the upgrade to TLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import ClosedError, connect
from tests.link import BIG, turns
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from longshore import TlsOptions
    from tests.link import Link
    from tests.server_process import Server


async def test_every_way_to_write(link: Link) -> None:
    async with link() as (socket, peer):
        _, writer = socket.as_asyncio_streams()
        writer.write(b"bytes ")
        writer.write(bytearray(b"bytearray "))
        writer.write(memoryview(b"memoryview "))
        writer.write(b"")
        writer.writelines([b"and ", b"lines"])
        await writer.drain()
        assert writer.can_write_eof()
        writer.write_eof()
        writer.write_eof()
        assert await peer.receive_until_end() == (b"bytes bytearray memoryview and lines", "eof")


async def test_wrong_writes_are_refused(link: Link) -> None:
    async with link() as (socket, _):
        _, writer = socket.as_asyncio_streams()
        with pytest.raises(TypeError, match="str"):
            writer.write("text")  # type: ignore[arg-type]  # the point
        writer.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            writer.write(b"late")


async def test_what_arrives_after_our_end_is_read(link: Link) -> None:
    """K10: half-close works, under TLS too, where asyncio has none."""
    async with link() as (socket, peer):
        reader, writer = socket.as_asyncio_streams()
        writer.write(b"question")
        writer.write_eof()
        assert await peer.receive_until_end() == (b"question", "eof")
        await peer.send(b"answer")
        await peer.send_eof()
        assert await reader.read() == b"answer"
        await writer.wait_closed()


@pytest.mark.parametrize("is_tls", [False, True])
async def test_half_close_with_a_real_server(echo_server: Server, client_tls: TlsOptions, is_tls: bool) -> None:
    """K10: this server answers only when it has seen the end."""
    if is_tls:
        assert echo_server.tls_port is not None
        socket = connect(("localhost", echo_server.tls_port), secure_transport="on", tls=client_tls)
    else:
        socket = connect(("localhost", echo_server.port))
    reader, writer = socket.as_asyncio_streams()
    writer.writelines([BIG, b"!"])
    writer.write_eof()
    assert await reader.read() == BIG + b"!"
    await writer.wait_closed()


async def test_drain_waits_for_a_peer_that_does_not_read(link: Link) -> None:
    """K12."""
    async with link() as (socket, peer):
        _, writer = socket.as_asyncio_streams()
        writer.write(BIG)
        draining = asyncio.ensure_future(writer.drain())
        await turns()
        assert not draining.done()
        transport = writer.transport
        low, high = transport.get_write_buffer_limits()
        assert transport.get_write_buffer_size() > high
        received = 0
        while received < len(BIG):
            received += len(await peer.receive())
        await draining
        assert transport.get_write_buffer_size() <= low


async def test_drain_can_be_made_to_wait_for_everything(link: Link) -> None:
    async with link() as (socket, peer):
        _, writer = socket.as_asyncio_streams()
        writer.transport.set_write_buffer_limits(high=0)
        assert writer.transport.get_write_buffer_limits() == (0, 0)
        writer.write(BIG)
        draining = asyncio.ensure_future(writer.drain())
        received = 0
        while received < len(BIG):
            received += len(await peer.receive())
        await draining
        assert writer.transport.get_write_buffer_size() == 0
        with pytest.raises(ValueError, match="high=1 and low=2"):
            writer.transport.set_write_buffer_limits(high=1, low=2)
        writer.transport.set_write_buffer_limits(low=2)
        assert writer.transport.get_write_buffer_limits() == (2, 8)


async def test_drain_after_the_end_waits_for_the_flush(link: Link) -> None:
    async with link() as (socket, peer):
        _, writer = socket.as_asyncio_streams()
        writer.write(BIG)
        before = asyncio.ensure_future(writer.drain())
        await turns()
        writer.write_eof()
        after = asyncio.ensure_future(writer.drain())
        await turns()
        assert not before.done()
        assert not after.done()
        received, end = await peer.receive_until_end()
        assert (len(received), end) == (len(BIG), "eof")
        await before
        await after


async def test_close_flushes(link: Link) -> None:
    """K8."""
    async with link() as (socket, peer):
        reader, writer = socket.as_asyncio_streams()
        writer.write(BIG)
        assert not writer.is_closing()
        writer.close()
        writer.close()
        assert writer.is_closing()
        writer.write(b"dropped")
        waiting = asyncio.ensure_future(writer.wait_closed())
        received, end = await peer.receive_until_end()
        assert (received == BIG, end) == (True, "eof")
        await waiting
        with pytest.raises(ClosedError):
            await reader.read(1)
        with pytest.raises(ClosedError):
            await writer.drain()


async def test_abort_resets_and_is_no_failure(link: Link) -> None:
    async with link() as (socket, peer):
        reader, writer = socket.as_asyncio_streams()
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        assert transport.is_reading()
        transport.pause_reading()
        transport.resume_reading()
        transport.abort()
        assert not transport.is_reading()
        assert await peer.receive_until_end() == (b"", "reset")
        await writer.wait_closed()
        with pytest.raises(ClosedError, match="aborted"):
            await reader.read(1)


async def test_the_facts_have_the_names_of_asyncio(link: Link) -> None:
    async with link() as (socket, peer):
        _, writer = socket.as_asyncio_streams()
        raw = peer.raw if isinstance(peer, TlsPeer) else peer
        assert writer.get_extra_info("peername") == raw.sock.getsockname()
        assert writer.get_extra_info("sockname") == raw.sock.getpeername()
        assert writer.get_extra_info("socket").getpeername() == raw.sock.getsockname()
        assert writer.get_extra_info("nonsense", 5) == 5
        for name in ("ssl_object", "sslcontext", "peercert", "cipher"):
            assert (writer.get_extra_info(name) is not None) == link.is_tls
        if link.is_tls:
            assert writer.get_extra_info("cipher")[1] == "TLSv1.3"
            assert ("DNS", "localhost") in writer.get_extra_info("peercert")["subjectAltName"]
        assert writer.get_extra_info("compression") is None
        writer.close()
        await writer.wait_closed()
        assert writer.get_extra_info("peername") == raw.sock.getsockname()
        assert (writer.get_extra_info("ssl_object") is not None) == link.is_tls
        assert writer.get_extra_info("socket") is None
