"""``Socket.start_tls()``, and the half-close under TLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    ConnectTimeout,
    Socket,
    TlsError,
    TlsOptions,
    UsageError,
    connect,
)
from tests.conformance.starttls_server import serve_pings
from tests.loopback import ending, linked, linked_tls, outcome, refusing_address
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tests.tls_peer import TlsPeer


# -- K9: start_tls -------------------------------------------------------------------------------


async def write_once(socket: Socket, data: bytes) -> None:
    await socket.writable.write(data)


async def pending_read(socket: Socket, _: RawPeer) -> AsyncIterator[None]:
    reading = asyncio.create_task(anext(socket.readable))
    await asyncio.sleep(0)
    yield
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def pending_write(socket: Socket, peer: RawPeer) -> AsyncIterator[None]:
    count = 32 << 20
    writing = asyncio.create_task(write_once(socket, bytes(count)))
    await asyncio.sleep(0)
    assert not writing.done()
    yield
    await peer.receive_exactly(count)
    await writing


async def locked_readable(socket: Socket, _: RawPeer) -> AsyncIterator[None]:
    reader = socket.readable.get_reader()
    yield
    reader.release_lock()


async def locked_writable(socket: Socket, _: RawPeer) -> AsyncIterator[None]:
    writer = socket.writable.get_writer()
    yield
    writer.release_lock()


async def nothing(_: Socket, __: RawPeer) -> AsyncIterator[None]:
    yield


OBSTACLES: list[tuple[str, Any, dict[str, Any], str]] = [
    ("off", nothing, {}, "needs connect"),
    ("starttls", pending_read, {}, "pending"),
    ("starttls", pending_write, {}, "pending"),
    ("starttls", locked_readable, {}, "locked"),
    ("starttls", locked_writable, {}, "locked"),
    ("starttls", nothing, {"sni": "a..b"}, "sni"),
    ("starttls", nothing, {"sni": "bücher.example"}, "sni"),
    ("starttls", nothing, {"alpn": "h2"}, "alpn"),
    ("starttls", nothing, {"tls": "yes"}, "tls"),
    ("starttls", nothing, {"timeout_s": -1}, "timeout_s"),
]


@pytest.mark.parametrize(("mode", "prepare", "arguments", "says"), OBSTACLES)
async def test_start_tls_that_raises_changes_nothing(
    mode: str, prepare: Any, arguments: dict[str, Any], says: str
) -> None:
    """K9: the socket is not upgraded, not closed, and carries bytes both ways afterwards."""
    async with linked(secure_transport=mode) as (socket, peer):
        prepared = prepare(socket, peer)
        await anext(prepared)
        with pytest.raises(UsageError, match=says):
            socket.start_tls(**arguments)
        assert await anext(prepared, None) is None
        assert not socket.upgraded
        assert not socket.closed.done()
        await socket.writable.write(b"there")
        assert await peer.receive_exactly(5) == b"there"
        await peer.send(b"back")
        assert await socket.readable.read() == b"back"


async def test_start_tls_inside_tls_raises_and_changes_nothing(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: a socket that speaks TLS goes on speaking it."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
        with pytest.raises(UsageError, match="TLS already"):
            socket.start_tls()
        await socket.writable.write(b"there")
        assert await peer.receive_exactly(5) == b"there"


@pytest.mark.parametrize("how", ["close", "abort", "cancel", "end", "abort write"])
async def test_start_tls_after_an_end_raises(how: str) -> None:
    """K9: closed, or one direction of it over: there is nothing to upgrade."""
    async with linked(secure_transport="starttls") as (socket, peer):
        if how == "close":
            await socket.close()
        elif how == "abort":
            socket.abort()
        elif how == "cancel":
            await socket.readable.cancel()
        elif how == "end":
            await socket.writable.close()
        else:
            await socket.writable.abort()
        before = socket.closed.done()
        with pytest.raises(UsageError, match="cannot start TLS"):
            socket.start_tls()
        assert socket.closed.done() == before
        assert not socket.upgraded
        del peer


async def test_start_tls_flushes_in_plaintext_first(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: a megabyte in the queue leaves before the ClientHello, whole."""
    options: dict[str, Any] = {"secure_transport": "starttls", "high_water_mark": 2 << 20}
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, tls=client_tls, **options)
        async with await server.accept() as peer:
            await socket.opened
            await socket.writable.write(b"x" * (1 << 20))
            secure = socket.start_tls()
            async with ending(secure):
                assert await peer.receive_exactly(1 << 20) == b"x" * (1 << 20)
                serving = asyncio.create_task(serve_pings(peer, server_ssl_context))
                await secure.writable.write(b"ping\n")
                assert await secure.readable.read() == b"pong\n"
                await serving


async def test_plaintext_in_the_middle_of_the_handshake_fails_it(client_tls: TlsOptions) -> None:
    """K9: injected after our ClientHello it is no TLS record."""
    async with linked(secure_transport="starttls", tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            await peer.receive()
            await peer.send(b"250 injected\r\n")
            assert isinstance(await outcome(secure.opened), TlsError)
            assert isinstance(await outcome(secure.closed), TlsError)
            assert await outcome(socket.closed) is None


async def test_the_peers_end_before_the_handshake_fails_it(client_tls: TlsOptions) -> None:
    """K5: the peer hangs up instead of answering."""
    async with linked(secure_transport="starttls", tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            await peer.receive()
            await peer.send_eof()
            error = await outcome(secure.opened)
            assert isinstance(error, TlsError)
            assert error.truncated


async def test_start_tls_of_a_connect_that_fails_rejects_the_new_socket(client_tls: TlsOptions) -> None:
    """K9: the failure is where the program looks now; the old socket's ``opened`` says it too."""
    with refusing_address() as address:
        socket = connect(address, secure_transport="starttls", tls=client_tls)
        secure = socket.start_tls()
        for promise in (secure.opened, secure.closed, socket.opened):
            assert isinstance(await outcome(promise), ConnectionError)
        assert await outcome(socket.closed) is None


async def test_start_tls_has_the_timeout_of_connect_unless_told_otherwise(client_tls: TlsOptions) -> None:
    """K9: ``connect_timeout_s`` bounds the handshake as well."""
    options: dict[str, Any] = {"secure_transport": "starttls", "connect_timeout_s": 0.05}
    async with linked(tls=client_tls, **options) as (socket, _):
        secure = socket.start_tls()
        error = await outcome(secure.opened)
        assert isinstance(error, ConnectTimeout)
        assert (error.timeout_s, error.during) == (0.05, "tls")
        await outcome(secure.closed)


async def test_the_old_readable_does_not_lose_what_it_did_not_read(client_tls: TlsOptions) -> None:
    """K9: unread plaintext is not dropped silently, it fails the upgrade."""
    async with linked(secure_transport="starttls", tls=client_tls) as (socket, peer):
        await peer.send(b"unread")
        assert await socket.readable.read(3) == b"unr"
        secure = socket.start_tls()
        assert isinstance(await outcome(secure.opened), TlsError)
        await outcome(secure.closed)


# -- K10: TLS half-close -------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_the_peer_may_finish_after_our_close_notify(
    version: Any, ca_file: Any, server_ssl_context: ssl.SSLContext
) -> None:
    """K10: two megabytes arrive after our end, then the peer's, and ``closed`` resolves."""
    tls = TlsOptions(ca=ca_file, maximum_version=version)
    async with linked_tls(tls, server_ssl_context) as (socket, peer):
        await socket.writable.write(b"request")
        await socket.writable.close()
        assert await peer.receive_all() == b"request"
        assert peer.engine.ssl.version() == version
        sending = asyncio.create_task(send_and_end(peer, bytes(2 << 20)))
        assert len(b"".join([chunk async for chunk in socket.readable])) == 2 << 20
        await sending
        await socket.closed


async def test_bytes_that_had_arrived_survive_our_close_notify(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K10: what was decrypted or waiting when we end is still read."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
        await peer.send(b"a" * 1000)
        await peer.send(b"b" * 1000)
        assert await socket.readable.read(10) == b"a" * 10
        await socket.writable.close()
        await peer.send(b"c" * 1000)
        await peer.send_eof()
        assert b"".join([chunk async for chunk in socket.readable]) == b"a" * 990 + b"b" * 1000 + b"c" * 1000


async def send_and_end(peer: TlsPeer, data: bytes) -> None:
    await peer.send(data)
    await peer.send_eof()
