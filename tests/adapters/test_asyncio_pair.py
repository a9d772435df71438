"""``Socket.as_asyncio_streams()``: who may have the pair, and what becomes of a pair that nobody has."""

from __future__ import annotations

import asyncio
import gc
import ssl
from typing import TYPE_CHECKING

import pytest

from longshore import (
    ArgumentValueError,
    ClosedError,
    ConnectError,
    SocketError,
    TlsError,
    UsageError,
    connect,
)
from tests.link import turns
from tests.server_process import HOST, free_port
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from tests.link import Link


async def test_the_pair_is_what_type_hints_say(link: Link) -> None:
    async with link() as (socket, _):
        reader, writer = socket.as_asyncio_streams()
        assert isinstance(reader, asyncio.StreamReader)
        assert isinstance(writer, asyncio.StreamWriter)
        assert isinstance(writer.transport, asyncio.Transport)
        assert repr(socket) in repr(reader)
        assert repr(socket) in repr(writer)


async def test_it_can_be_used_before_the_connection_is_up(link: Link) -> None:
    """K2: early writes are queued."""
    with RawServer() as server:
        socket = connect(server.address, **link.options)
        reader, writer = socket.as_asyncio_streams()
        assert writer.get_extra_info("peername") is None
        assert writer.get_extra_info("peername", "nobody") == "nobody"
        writer.write(b"early")
        await writer.drain()
        async with await link.accept(server) as peer:
            assert await peer.receive() == b"early"
            await peer.send(b"back")
            assert await reader.readexactly(4) == b"back"
            writer.close()
            await writer.wait_closed()


async def test_a_failed_connect_is_raised_by_every_call() -> None:
    """K5, K6."""
    socket = connect((HOST, free_port()))
    reader, writer = socket.as_asyncio_streams()
    writer.write(b"lost")
    with pytest.raises(ConnectError):
        await reader.read()
    with pytest.raises(ConnectError):
        await reader.readline()
    with pytest.raises(ConnectError):
        await writer.drain()
    with pytest.raises(ConnectError):
        await writer.wait_closed()
    assert writer.is_closing()
    assert isinstance(reader.exception(), OSError)
    assert not reader.at_eof()


async def test_a_limit_of_nothing_is_refused_and_locks_nothing(link: Link) -> None:
    async with link() as (socket, _):
        with pytest.raises(ArgumentValueError, match="limit_bytes=0"):
            socket.as_asyncio_streams(limit_bytes=0)
        assert not socket.readable.locked
        assert not socket.writable.locked


async def test_both_streams_are_locked(link: Link) -> None:
    async with link() as (socket, _):
        socket.as_asyncio_streams()
        with pytest.raises(UsageError, match="locked"):
            socket.readable.get_reader()
        with pytest.raises(UsageError, match="locked"):
            socket.writable.get_writer()
        with pytest.raises(UsageError, match="locked"):
            socket.as_asyncio_streams()


async def test_a_locked_socket_is_not_adapted_and_stays_as_it_was(link: Link) -> None:
    async with link() as (socket, _):
        writer = socket.writable.get_writer()
        with pytest.raises(UsageError, match="locked"):
            socket.as_asyncio_streams()
        assert not socket.readable.locked
        writer.release_lock()
        reader = socket.readable.get_reader()
        with pytest.raises(UsageError, match="locked"):
            socket.as_asyncio_streams()
        assert not socket.writable.locked
        reader.release_lock()


async def test_the_end_of_the_peer_closes_the_socket_unless_half_open(link: Link) -> None:
    """K7: the socket's option decides, unlike in asyncio, where every stream is half-open."""
    async with link() as (socket, peer):
        reader, writer = socket.as_asyncio_streams()
        await peer.send_eof()
        assert await reader.read() == b""
        await writer.wait_closed()
        with pytest.raises(ClosedError):
            await writer.drain()
    async with link(allow_half_open=True) as (socket, peer):
        reader, writer = socket.as_asyncio_streams()
        await peer.send_eof()
        assert await reader.read() == b""
        writer.write(b"still here")
        await writer.drain()
        assert await peer.receive() == b"still here"


async def collect_garbage() -> None:
    """Find what is forgotten: a lock and its stream refer to each other."""
    gc.collect()
    await turns()


async def test_forgetting_both_ends_the_connection_with_a_warning() -> None:
    with RawServer() as server:

        async def forget() -> None:
            reader, writer = connect(server.address).as_asyncio_streams()
            writer.write(b"one")
            del writer  # whoever still reads keeps the connection, unlike in asyncio
            gc.collect()
            assert await reader.readexactly(3) == b"two"

        forgetting = asyncio.ensure_future(forget())
        async with await server.accept() as peer:
            assert await peer.receive() == b"one"
            await peer.send(b"two")
            with pytest.warns(ResourceWarning, match="never closed"):
                await forgotten(forgetting)
            assert await peer.receive_until_end() == (b"", "reset")


@pytest.mark.parametrize("link", ["tls"], indirect=True)
async def test_a_failed_handshake_is_raised(other_ca_ssl_context: ssl.SSLContext, link: Link) -> None:
    with RawServer() as server:
        socket = connect(server.address, **link.options)
        reader, writer = socket.as_asyncio_streams()
        async with await server.accept() as raw:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await TlsPeer(raw, other_ca_ssl_context).handshake()
        for reading in (reader.read(), reader.readline()):
            with pytest.raises(TlsError, match="certificate"):
                await reading
        with pytest.raises(SocketError):
            await writer.wait_closed()


async def forgotten(forgetting: asyncio.Future[None]) -> None:
    await forgetting
    await collect_garbage()
