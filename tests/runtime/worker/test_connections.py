"""What is recorded of ``connect()``: how it began, how much passed, how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    ConnectError,
    PolicyDenied,
    ResetError,
    Socket,
    TlsOptions,
    connect,
)
from longshore.net.dial import DirectDialer
from longshore.policy import EgressPolicy
from longshore.proto.ipc.messages import ConnectionClosed, ConnectionOpened
from longshore.runtime.worker.connections import RecordingDialer
from longshore.testing import StaticResolver
from longshore.workers._context import connecting_via
from tests.loopback import ending, outcome, refusing_address
from tests.runtime.worker.recorded import Messages
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl


def dial(messages: Messages, address: str, **options: Any) -> Socket:
    resolver = StaticResolver({"db.test": ["127.0.0.1"]})
    return connect(address, dialer=RecordingDialer(DirectDialer(resolver=resolver), messages.recorder), **options)


async def test_a_connection_that_is_closed_here() -> None:
    messages = Messages()
    with RawServer() as server:
        port = server.address.rpartition(":")[2]
        socket = dial(messages, f"db.test:{port}")
        async with await server.accept() as peer, ending(socket):
            await socket.writable.write(b"hello")
            assert await peer.receive_exactly(5) == b"hello"
            await peer.send(b"good morning")
            assert await socket.readable.read() == b"good morning"
            await socket.close()
    opened = await messages.next(ConnectionOpened)
    assert (opened.connection_id, opened.address, opened.request_id) == (1, f"db.test:{port}", "")
    assert (opened.remote_address, opened.error, opened.via) == (server.address, "", "connect()")
    assert opened.dns_s is not None
    assert opened.tcp_s is not None
    assert opened.tls_s is None
    assert opened.total_s is not None
    closed = await messages.next(ConnectionClosed)
    assert (closed.connection_id, closed.address, closed.ended) == (1, f"db.test:{port}", "closed")
    assert (closed.bytes_sent, closed.bytes_received) == (5, 12)
    assert closed.duration_s >= 0


async def test_a_connection_that_the_peer_ends() -> None:
    messages = Messages()
    with RawServer() as server:
        socket = dial(messages, server.address)
        async with await server.accept() as peer, ending(socket):
            await peer.send(b"bye")
            peer.close()
            assert [chunk async for chunk in socket.readable] == [b"bye"]
            await outcome(socket.closed)
    await messages.next(ConnectionOpened)
    closed = await messages.next(ConnectionClosed)
    assert (closed.ended, closed.bytes_received) == ("end of file", 3)


async def test_a_connection_that_is_reset() -> None:
    messages = Messages()
    with RawServer() as server:
        socket = dial(messages, server.address)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            peer.abort()
            assert isinstance(await outcome(socket.closed), ResetError)
    await messages.next(ConnectionOpened)
    assert (await messages.next(ConnectionClosed)).ended == "reset"


async def test_a_connection_that_is_aborted_here() -> None:
    messages = Messages()
    with RawServer() as server:
        socket = dial(messages, server.address)
        async with await server.accept():
            await socket.opened
            socket.abort()
            await outcome(socket.closed)
    await messages.next(ConnectionOpened)
    assert (await messages.next(ConnectionClosed)).ended == "aborted"


async def test_a_connection_that_cannot_be_made() -> None:
    messages = Messages()
    with refusing_address() as address:
        socket = dial(messages, address)
        assert isinstance(await outcome(socket.opened), ConnectError)
        await outcome(socket.closed)
    opened = await messages.next(ConnectionOpened)
    assert opened.error.startswith(f"cannot connect to {address}")
    assert messages.all == []


async def test_a_denied_connection_is_told_and_stays_denied() -> None:
    messages = Messages()
    dialer = RecordingDialer(DirectDialer(policy=EgressPolicy()), messages.recorder)
    socket = connect("127.0.0.1:5432", dialer=dialer)
    assert isinstance(await outcome(socket.opened), PolicyDenied)
    await outcome(socket.closed)
    error = (await messages.next(ConnectionOpened)).error
    assert "blocked by policy: not allowed by " in error  # by which rule, the operator has to know


async def test_tls_from_the_start(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    messages = Messages()
    with RawServer() as server:
        socket = dial(messages, server.address, secure_transport="on", tls=client_tls)
        async with await server.accept() as raw, ending(socket):
            peer = TlsPeer(raw, server_ssl_context)
            await peer.handshake()
            await socket.writable.write(b"hello")
            assert await peer.receive() == b"hello"
            await socket.opened
            socket.abort()
            await outcome(socket.closed)
    opened = await messages.next(ConnectionOpened)
    assert opened.tls_s is not None
    closed = await messages.next(ConnectionClosed)
    assert (closed.bytes_sent, closed.tls_s) == (5, None)


async def test_starttls_goes_on_as_the_same_connection(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    messages = Messages()
    with RawServer() as server:
        plain = dial(messages, server.address, secure_transport="starttls", tls=client_tls)
        async with await server.accept() as raw, ending(plain):
            await plain.writable.write(b"STARTTLS")
            assert await raw.receive_exactly(8) == b"STARTTLS"
            socket = plain.start_tls()
            peer = TlsPeer(raw, server_ssl_context)
            async with ending(socket):
                await peer.handshake()
                await socket.writable.write(b"secret")
                assert await peer.receive() == b"secret"
    await messages.next(ConnectionOpened)
    closed = await messages.next(ConnectionClosed)
    assert (closed.connection_id, closed.bytes_sent, closed.ended) == (1, 14, "aborted")
    assert closed.tls_s is not None
    assert messages.all == []


async def test_starttls_that_fails_ends_the_record(client_tls: TlsOptions) -> None:
    messages = Messages()
    with RawServer() as server:
        plain = dial(messages, server.address, secure_transport="starttls", tls=client_tls)
        async with await server.accept() as raw, ending(plain):
            await plain.opened
            socket = plain.start_tls()
            await raw.send(b"500 no TLS here\r\n")
            async with ending(socket):
                assert await outcome(socket.opened) is not None
    await messages.next(ConnectionOpened)
    assert "TLS" in (await messages.next(ConnectionClosed)).ended
    assert messages.all == []


async def test_it_says_what_asked_for_the_connection() -> None:
    messages = Messages()
    token = connecting_via.set("fetch()")
    with RawServer() as server:
        socket = dial(messages, server.address)
        connecting_via.reset(token)
        async with await server.accept(), ending(socket):
            await socket.opened
    assert (await messages.next(ConnectionOpened)).via == "fetch()"


@pytest.mark.parametrize("how", ["socket", "peername"])
async def test_adapters_see_the_socket_underneath(how: str) -> None:
    messages = Messages()
    with RawServer() as server:
        socket = dial(messages, server.address)
        async with await server.accept(), ending(socket):
            await socket.opened
            _, writer = socket.as_asyncio_streams()
            assert writer.get_extra_info(how) is not None
            socket.abort()
