"""``node:tls``: section 3.7 of docs/conformance.md; the table of identities is in ``test_server_identity.py``."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, cast

import pytest

from longshore import (
    AbortController,
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    ConnectTimeout,
    DirectDialer,
    Socket,
    TlsOptions,
    connect,
)
from longshore.testing import MemoryDialer, RoutedDialer, StreamDriver
from tests.certificates import CertificateFiles, server_context
from tests.conformance.starttls_server import serve_pings
from tests.loopback import ending, linked, linked_tls, outcome
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from longshore.abc import Connection, DialRequest
    from longshore.core.tls_options import TlsRequest


@pytest.mark.parametrize("moment", ["before", "at once", "a turn later"])
async def test_a_signal_aborts_a_tls_connect(moment: str, client_tls: TlsOptions) -> None:
    """K8: before, right after and a turn after the call; ``opened`` and ``closed`` reject."""
    controller = AbortController()
    if moment == "before":
        controller.abort(moment)
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls, signal=controller.signal)
        if moment == "at once":
            controller.abort(moment)
        else:
            asyncio.get_running_loop().call_soon(controller.abort, moment)
        error = await outcome(socket.opened)
        assert isinstance(error, ClosedError)
        assert error.reason == moment
        assert await outcome(socket.closed) is error


async def test_two_simple_connections(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K10: two handshakes, two clean ends."""
    for _ in range(2):
        async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
            await socket.writable.close()
            assert await peer.receive() == b""
            await peer.send_eof()
            await socket.closed


async def test_the_connect_timeout_covers_the_handshake(client_tls: TlsOptions) -> None:
    """K8: a server that accepts and says nothing does not hold anybody up."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls, connect_timeout_s=0.05)
        async with await server.accept():
            error = await outcome(socket.opened)
            assert isinstance(error, ConnectTimeout)
            assert error.during == "tls"


async def test_the_name_in_the_address_is_what_is_verified(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K11: 'localhost' is accepted for the certificate of localhost, wherever it is served."""
    with RawServer() as server:
        dialer = RoutedDialer({"localhost:443": server.address})
        socket = connect("localhost:443", secure_transport="on", tls=client_tls, dialer=dialer)
        async with await server.accept() as raw, ending(socket):
            await TlsPeer(raw, server_ssl_context).handshake()
            info = await socket.opened
            assert info.peer_certificate is not None
            assert info.tls_version == "TLSv1.3"


async def test_start_tls_on_a_connecting_socket(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: TLS may be asked for before TCP is up; early plaintext goes first."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="starttls", tls=client_tls)
        await socket.writable.write(b"plain ")
        secure = socket.start_tls()
        await secure.writable.write(b"ping\n")
        async with await server.accept() as peer, ending(secure):
            assert await peer.receive_exactly(6) == b"plain "
            serving = asyncio.create_task(serve_pings(peer, server_ssl_context))
            assert await secure.readable.read() == b"pong\n"
            await serving


async def test_start_tls_on_a_connected_socket(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: 'Hello' arrives under TLS, then the end."""
    async with linked(secure_transport="starttls", tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            tls_peer, _ = await asyncio.gather(serve_pings(peer, server_ssl_context, 0), secure.opened)
            await tls_peer.send(b"Hello")
            await tls_peer.send_eof()
            assert b"".join([chunk async for chunk in secure.readable]) == b"Hello"


@pytest.mark.parametrize("connected", [False, True])
async def test_start_tls_and_abort_at_once(connected: bool, client_tls: TlsOptions) -> None:
    """K8: the upgrade is given up and the connection with it."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="starttls", tls=client_tls)
        if connected:
            await socket.opened
        secure = socket.start_tls()
        secure.abort("never mind")
        assert isinstance(await outcome(secure.opened), ClosedError)
        assert isinstance(await outcome(secure.closed), ClosedError)
        assert await outcome(socket.closed) is None
        if connected:
            async with await server.accept() as peer:
                assert (await peer.receive_until_end())[1] == "reset"


async def test_a_context_of_ones_own(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext, ca_file: Any) -> None:
    """K11: an ``ssl.SSLContext`` is used as it is; something else is refused at the call."""
    own = TlsOptions(context=ssl.create_default_context(cafile=ca_file))
    async with linked_tls(own, server_ssl_context) as (socket, _):
        assert (await socket.opened).tls_version == "TLSv1.3"
    with pytest.raises(ArgumentTypeError, match=r"tls\.context"):
        TlsOptions(context={})  # type: ignore[arg-type]  # that is the point
    assert client_tls.context is None


@pytest.mark.parametrize(
    ("alpn", "error"),
    [
        (["a" * 500], ArgumentValueError),
        (["a" * 256], ArgumentValueError),
        ([""], ArgumentValueError),
        (["h2", 1], ArgumentTypeError),
        ("h2", ArgumentTypeError),
        (b"\x02h2", ArgumentTypeError),
    ],
)
async def test_a_wrong_protocol_name_is_refused(alpn: Any, error: type[Exception]) -> None:
    """K1: RFC 7301 allows 1 to 255 bytes."""
    with pytest.raises(error, match="alpn"):
        connect("localhost:443", secure_transport="on", alpn=alpn)


async def test_protocols_are_offered_and_the_choice_is_told(
    client_tls: TlsOptions, server_cert_files: CertificateFiles
) -> None:
    """K11: ``alpn`` is what the server chooses from, its choice is in ``opened``; the caller's list is not kept."""
    context = server_context(server_cert_files)
    context.set_alpn_protocols(["h2", "http/1.1"])
    offered = ["http/1.1", "a" * 255]
    async with linked_tls(client_tls, context, alpn=offered) as (socket, _):
        offered.clear()
        assert (await socket.opened).alpn == "http/1.1"


async def test_abort_whilst_a_write_waits(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K8: the write that waits raises; nothing is sent twice or torn."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, _):
        writing = asyncio.create_task(socket.writable.get_writer().write(bytes(32 << 20)))
        await asyncio.sleep(0)
        assert not writing.done()
        socket.abort()
        with pytest.raises(ClosedError):
            await writing


async def test_tls_over_any_byte_stream(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: nothing but ``ByteStream`` is needed underneath: here two ends in memory."""
    dialer = MemoryDialer()
    socket = connect("localhost:1", secure_transport="on", tls=client_tls, dialer=dialer)
    far = StreamDriver(await dialer.accept())
    async with ending(socket):
        peer = TlsPeer(cast("Any", far), server_ssl_context)
        await peer.handshake()
        await socket.writable.write(b"Hello")
        assert await peer.receive_exactly(5) == b"Hello"
        await peer.send(b"World")
        assert await socket.readable.read() == b"World"
        far.close()


class TunnelDialer:
    """Makes a second handshake inside the first, as through an HTTPS proxy."""

    async def dial(self, request: DialRequest) -> Connection:
        assert request.tls is not None
        return await self.start_tls(await DirectDialer().dial(request), request.tls)

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        return await DirectDialer().start_tls(connection, tls)


async def test_tls_in_tls(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: a TLS stream is a byte stream, so TLS goes over TLS; half-close works through both (K10)."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls, dialer=TunnelDialer())
        async with await server.accept() as raw, ending(socket):
            outer = TlsPeer(raw, server_ssl_context)
            await outer.handshake()
            inner = TlsPeer(cast("Any", outer), server_ssl_context)
            await inner.handshake()
            await socket.writable.write(bytes(100_000))
            await socket.writable.close()
            assert len(await inner.receive_all()) == 100_000
            await inner.send(b"Hello")
            await inner.send_eof()
            assert b"".join([chunk async for chunk in socket.readable]) == b"Hello"
            await socket.closed


async def test_junk_to_a_tls_server_ends_the_connection(server_ssl_context: ssl.SSLContext) -> None:
    """K5: a plain socket gets the server's alert as bytes, then the end that the server made."""
    async with linked() as (socket, raw):
        await socket.writable.write(b"\r\nThis is junk, no ClientHello\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            await TlsPeer(raw, server_ssl_context).handshake()
        await raw.send_eof()
        alert = b"".join([chunk async for chunk in socket.readable])
        assert alert == b"" or alert[:1] == b"\x15"
        await socket.closed


async def test_a_paused_reader_makes_the_writer_wait(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K12: while nobody reads the echo, ``write()`` waits at last; after that every byte comes back."""
    async with linked_tls(client_tls, server_ssl_context, allow_half_open=True) as (socket, peer):
        echoing = asyncio.create_task(echo(peer))
        writing = asyncio.create_task(write_and_end(socket, 100))
        while socket.writable._side.desired_size > 0:
            await asyncio.sleep(0)
        assert not writing.done()
        received = 0
        async for chunk in socket.readable:
            received += len(chunk)
        assert received == 100 << 18
        await asyncio.gather(writing, echoing)


async def write_and_end(socket: Socket, times: int) -> None:
    for _ in range(times):
        await socket.writable.write(bytes(1 << 18))
    await socket.writable.close()


async def echo(peer: TlsPeer) -> None:
    while data := await peer.receive():
        await peer.send(data)
    await peer.send_eof()


async def test_the_upgraded_socket_inherits_its_options(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: ``allow_half_open`` and the high-water mark are those of the socket that was upgraded."""
    given: dict[str, Any] = {"allow_half_open": True, "high_water_mark": 1000}
    async with linked(secure_transport="starttls", tls=client_tls, **given) as (socket, raw):
        secure = socket.start_tls()
        async with ending(secure):
            peer, _ = await asyncio.gather(serve_pings(raw, server_ssl_context, 0), secure.opened)
            assert secure.writable.get_writer().desired_size == 1000
            await peer.send_eof()
            assert await secure.readable.read() == b""
            assert not secure.closed.done()


async def test_waiting_bytes_are_counted_before_the_handshake_is_done(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K12: ``desired_size`` counts plaintext, also while the handshake is under way."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        writer = socket.writable.get_writer()
        await writer.write(b"hello")
        assert writer.desired_size == 65531
        async with await server.accept() as raw, ending(socket):
            peer = TlsPeer(raw, server_ssl_context)
            await peer.handshake()
            assert await peer.receive_exactly(5) == b"hello"
            assert writer.desired_size == 65536


@pytest.mark.parametrize("option", ["checkServerIdentity", "rejectUnauthorized", "requestCert", "pskCallback"])
async def test_a_verifier_that_would_be_ignored_is_refused(option: str) -> None:
    """K11: verification cannot be turned off or replaced by an option; there is an ``ssl.SSLContext`` for that."""
    with pytest.raises(ArgumentTypeError, match=f"{option}.*is unknown"):
        connect("localhost:443", {"secureTransport": "on", option: lambda *_: None})
