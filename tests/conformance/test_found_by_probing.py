"""What no upstream test has: the 18 cases of docs/conformance.md that were found by probing real runtimes."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    ConnectError,
    ConnectTimeout,
    DirectDialer,
    EgressPolicy,
    PolicyDenied,
    ResetError,
    SocketAddress,
    TlsError,
    UsageError,
    connect,
)
from longshore.testing import StaticResolver
from tests.certificates import CertificateFiles, server_context
from tests.conformance.starttls_server import serve_pings
from tests.loopback import black_hole, ending, linked, linked_tls, outcome, refusing_address
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from longshore import TlsOptions

STARTTLS = {"secure_transport": "starttls"}


async def test_read_after_a_failed_connect_raises() -> None:
    """K5: a read that was pending and one that comes later both raise the connect's error."""
    with refusing_address() as address:
        socket = connect(address)
        with pytest.raises(ConnectError):
            await socket.readable.read()
        with pytest.raises(ConnectError):
            await socket.readable.read()


async def test_reset_raises_for_the_reader_who_waits() -> None:
    """K5: a RST is an error, not end-of-file, and ``closed`` says the same."""
    async with linked() as (socket, peer):
        reading = asyncio.create_task(anext(socket.readable))
        await socket.writable.write(b"?")
        assert await peer.receive() == b"?"
        peer.abort()
        with pytest.raises(ResetError):
            await reading
        assert isinstance(await outcome(socket.closed), ResetError)


async def test_failed_handshake_after_start_tls_raises(client_tls: TlsOptions) -> None:
    """K5: the peer answers the ClientHello with something else than TLS."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            await peer.receive()
            await peer.send(b"500 what?\r\n")
            assert isinstance(await outcome(secure.opened), TlsError)
            with pytest.raises(TlsError):
                await secure.readable.read()


async def test_start_tls_with_a_silent_server_times_out(client_tls: TlsOptions) -> None:
    """K9: ``opened`` is pending until the handshake's bound runs out."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        secure = socket.start_tls(timeout_s=0.05)
        async with ending(secure):
            await peer.receive()
            assert not secure.opened.done()
            with pytest.raises(ConnectTimeout, match="during the TLS handshake"):
                await secure.opened


@pytest.mark.parametrize("side", ["readable", "writable"])
async def test_start_tls_with_a_locked_stream_raises_and_changes_nothing(
    side: str, client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: the old socket is intact: it talks, and can be upgraded once the lock is released."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        lock: Any = socket.readable.get_reader() if side == "readable" else socket.writable.get_writer()
        with pytest.raises(UsageError, match="locked"):
            socket.start_tls()
        assert not socket.upgraded
        assert not socket.closed.done()
        lock.release_lock()
        await socket.writable.write(b"still plain")
        assert await peer.receive_exactly(11) == b"still plain"
        secure = socket.start_tls()
        async with ending(secure):
            await asyncio.gather(serve_pings(peer, server_ssl_context, 0), secure.opened)


async def test_close_with_unsent_bytes_is_bounded() -> None:
    """K8: 32 MiB to a peer that does not read: the flush is given up and the connection is reset."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=64 << 20)
        async with await server.accept() as peer, ending(socket):
            await socket.writable.write(bytes(32 << 20))
            with pytest.raises(ClosedError, match=r"\d+ bytes could not be sent within the timeout_s=0.05"):
                await socket.close(timeout_s=0.05)
            assert (await peer.receive_until_end())[1] == "reset"


async def test_abort_with_unsent_bytes_is_immediate() -> None:
    """K8: ``abort()`` has reset the connection when it returns."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=64 << 20)
        async with await server.accept() as peer, ending(socket):
            await socket.writable.write(bytes(32 << 20))
            socket.abort("enough")
            assert socket.closed.done()
            error = await outcome(socket.closed)
            assert isinstance(error, ClosedError)
            assert error.reason == "enough"
            assert (await peer.receive_until_end())[1] == "reset"


async def test_close_while_connecting_to_a_black_hole_is_immediate() -> None:
    """K8: the connect is cancelled, ``closed`` resolves, ``opened`` says why it never opened."""
    with black_hole() as address:
        socket = connect(address, connect_timeout_s=None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await socket.opened
        await socket.close("not waiting")
        error = await outcome(socket.opened)
        assert isinstance(error, ClosedError)
        assert error.reason == "not waiting"


async def test_connect_timeout_bounds_a_black_hole() -> None:
    """K8: nobody waits for the kernel's two minutes."""
    with black_hole() as address:
        socket = connect(address, connect_timeout_s=0.05)
        error = await outcome(socket.opened)
        assert isinstance(error, ConnectTimeout)
        assert error.timeout_s == 0.05
        assert await outcome(socket.closed) is error


async def test_the_end_counts_whoever_drains_the_stream() -> None:
    """K7: the socket ends by itself when its stream was drained by a pipe."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = asyncio.create_task(source.readable.pipe_to(sink.writable))
        await source_peer.send_eof()
        await piping
        await source.closed
        assert await source_peer.receive_until_end() == (b"", "eof")
        assert await sink_peer.receive_until_end() == (b"", "eof")


@pytest.mark.parametrize("half_open", [False, True])
async def test_closed_settles_when_the_peer_ends_first(half_open: bool) -> None:
    """K6: both directions have ended, the peer's first."""
    async with linked(allow_half_open=half_open) as (socket, peer):
        await peer.send_eof()
        assert await socket.readable.read() == b""
        await socket.writable.close()
        await socket.closed


@pytest.mark.parametrize("half_open", [False, True])
async def test_closed_settles_when_we_end_first(half_open: bool) -> None:
    """K6: both directions have ended, ours first."""
    async with linked(allow_half_open=half_open) as (socket, peer):
        await socket.writable.close()
        assert not socket.closed.done()
        await peer.send_eof()
        assert await socket.readable.read() == b""
        await socket.closed


async def test_a_port_with_leading_zeros_is_decimal() -> None:
    """K3: 010000 is port 10000, never 4096, and what is printed is what is connected."""
    socket = connect("127.0.0.1:010000", dialer=DirectDialer(policy=EgressPolicy(deny=["127.0.0.1:10000"])))
    assert socket.address == SocketAddress("127.0.0.1", 10000)
    assert isinstance(await outcome(socket.opened), PolicyDenied)


async def test_a_bare_ipv6_address_in_a_mapping_is_bracketed() -> None:
    """K3: ``{"hostname": "::1"}`` connects to ``[::1]``."""
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "::1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        socket = connect({"hostname": "::1", "port": port})
        assert (await socket.opened).remote_address == f"[::1]:{port}"
        assert await socket.readable.read() == b""
        await socket.closed


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (("localhost", 0), ArgumentValueError),
        (("localhost", 1.5), ArgumentTypeError),
        (("localhost", True), ArgumentTypeError),
        (("localhost", "80 "), ArgumentTypeError),
        ("localhost:80 ", ArgumentValueError),
        ("localhost:0", ArgumentValueError),
        ("localhost:1.5", ArgumentValueError),
    ],
)
async def test_a_wrong_port_is_rejected_at_the_call(address: Any, error: type[Exception]) -> None:
    """K3: port 0, 1.5, True and '80 ' raise in ``connect()`` itself."""
    with pytest.raises(error):
        connect(address)


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "0177.0.0.1"])
async def test_a_numeric_alias_is_judged_as_what_it_resolves_to(host: str) -> None:
    """K4: the C library's spellings of 127.0.0.1 are denied after resolution, and nothing is connected."""
    with RawServer() as server:
        resolver = StaticResolver({host: ["127.0.0.1"]})
        port = server.address.rpartition(":")[2]
        socket = connect(f"{host}:{port}", dialer=DirectDialer(resolver=resolver, policy=EgressPolicy()))
        assert isinstance(await outcome(socket.opened), PolicyDenied)
        with pytest.raises(BlockingIOError):
            server.sock.accept()


async def test_an_ip_literal_is_verified_but_not_sent_as_a_name(
    client_tls: TlsOptions, server_cert_files: CertificateFiles, wrong_host_ssl_context: ssl.SSLContext
) -> None:
    """K11: no SNI for 127.0.0.1, and the certificate must have it among its IP SANs."""
    names: list[str | None] = []
    context = server_context(server_cert_files)
    context.sni_callback = lambda _, name, __: names.append(name)
    async with linked_tls(client_tls, context):
        assert names == [None]
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        async with await server.accept() as peer:
            serving = asyncio.create_task(serve_pings(peer, wrong_host_ssl_context))
            error = await outcome(socket.opened)
            assert isinstance(error, TlsError)
            assert "IP address mismatch" in str(error.verify_reason)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await serving


async def test_plaintext_behind_the_starttls_reply_is_refused(client_tls: TlsOptions) -> None:
    """K9: what arrived in the same segment as the reply may have been injected (CVE-2021-23222)."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        await peer.send(b"220 go ahead\r\n250 injected\r\n")
        reply = bytearray(14)
        assert await socket.readable.read_into(reply) == 14
        secure = socket.start_tls()
        async with ending(secure):
            with pytest.raises(TlsError, match="plaintext arrived before the handshake"):
                await secure.opened
            assert (await peer.receive_until_end())[1] == "reset"


async def test_a_truncated_tls_stream_raises(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K5: FIN without close_notify: what arrived can be read, then the truncation raises."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
        await peer.send(b"half of it")
        await peer.raw.send_eof()
        assert await socket.readable.read() == b"half of it"
        with pytest.raises(TlsError) as caught:
            await socket.readable.read()
        assert caught.value.truncated
        assert await outcome(socket.closed) is caught.value


async def test_a_pending_read_raises_at_close() -> None:
    """K8: ``close(reason)`` ends the read that waits, with the reason."""
    async with linked() as (socket, _):
        reading = asyncio.create_task(anext(socket.readable))
        await asyncio.sleep(0)  # the read is pending when the task has had its first turn
        closing = socket.close("had enough")
        with pytest.raises(ClosedError, match="had enough"):
            await reading
        await closing


async def test_backpressure_without_a_high_water_mark_of_ones_own() -> None:
    """K12: by default 64 KiB may wait; ``desired_size`` is real and ``ready`` pends until the peer reads."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address)
        async with await server.accept() as peer, ending(socket):
            writer = socket.writable.get_writer()
            assert writer.desired_size == 65536
            writing = asyncio.create_task(writer.write(bytes(32 << 20)))
            await socket.opened
            while writer.desired_size == 65536:
                await asyncio.sleep(0)
            assert writer.desired_size < 0
            assert not writing.done()
            received = 0
            while received < 32 << 20:
                received += len(await peer.receive())
            await writing
            await writer.ready
            assert writer.desired_size == 65536
