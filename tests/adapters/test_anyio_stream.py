"""``Socket.as_anyio_stream()``: the stream that anyio's own tools and anyio programs expect."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSAttribute, TLSStream

from longshore import ClosedError, ConnectError, ResetError, SocketError, TlsError, UsageError, connect
from tests.link import BIG, turns
from tests.server_process import HOST, free_port
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from longshore import TlsOptions
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


async def test_the_attributes_of_the_socket(link: Link) -> None:
    async with link() as (socket, peer), socket.as_anyio_stream() as stream:
        raw = peer.raw if isinstance(peer, TlsPeer) else peer
        assert stream.extra(SocketAttribute.remote_address) == raw.sock.getsockname()
        assert stream.extra(SocketAttribute.remote_port) == raw.sock.getsockname()[1]
        assert stream.extra(SocketAttribute.local_address) == raw.sock.getpeername()
        assert stream.extra(SocketAttribute.local_port) == raw.sock.getpeername()[1]
        assert stream.extra(SocketAttribute.family) == raw.sock.family
        assert stream.extra(SocketAttribute.raw_socket).getpeername() == raw.sock.getsockname()
        assert (stream.extra(TLSAttribute.ssl_object, None) is not None) == link.is_tls


@pytest.mark.parametrize("link", ["tls"], indirect=True)
async def test_the_attributes_of_tls(link: Link) -> None:
    async with link(alpn=["h2", "http/1.1"]) as (socket, _), socket.as_anyio_stream() as stream:
        assert stream.extra(TLSAttribute.alpn_protocol) is None
        assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"
        assert stream.extra(TLSAttribute.cipher)[1] == "TLSv1.3"
        assert stream.extra(TLSAttribute.server_side) is False
        assert stream.extra(TLSAttribute.shared_ciphers) is None
        assert stream.extra(TLSAttribute.standard_compatible) is True
        assert stream.extra(TLSAttribute.peer_certificate_binary) == (await socket.opened).peer_certificate
        certificate = stream.extra(TLSAttribute.peer_certificate)
        assert certificate is not None
        assert "subjectAltName" in certificate
        assert isinstance(stream.extra(TLSAttribute.channel_binding_tls_unique), bytes)


async def test_the_tools_of_anyio_work_on_it(link: Link) -> None:
    async with link() as (socket, peer), BufferedByteReceiveStream(socket.as_anyio_stream()) as stream:
        await peer.send(b"12345a line\r\nrest")
        assert await stream.receive_exactly(5) == b"12345"
        assert await stream.receive_until(b"\r\n", 100) == b"a line"


@pytest.mark.parametrize("link", ["plain"], indirect=True)
async def test_the_tls_of_anyio_works_on_it(
    link: Link, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    context = ssl.create_default_context(cafile=str(client_tls.ca))
    async with link() as (socket, raw):
        assert not isinstance(raw, TlsPeer)
        peer = TlsPeer(raw, server_ssl_context)
        handshake = asyncio.ensure_future(peer.handshake())
        async with await TLSStream.wrap(
            socket.as_anyio_stream(), hostname="localhost", ssl_context=context, standard_compatible=False
        ) as stream:
            await handshake
            await stream.send(b"inside")
            assert await peer.receive() == b"inside"
            await peer.send(b"answer")
            assert await stream.receive() == b"answer"
            assert stream.extra(SocketAttribute.remote_address) == raw.sock.getsockname()


async def test_a_locked_socket_is_not_adapted(link: Link) -> None:
    async with link() as (socket, _):
        reader = socket.readable.get_reader()
        with pytest.raises(UsageError, match="locked"):
            socket.as_anyio_stream()
        reader.release_lock()
        socket.as_anyio_stream()
        with pytest.raises(UsageError, match="locked"):
            socket.as_anyio_stream()


@pytest.mark.parametrize("link", ["plain"], indirect=True)
async def test_without_anyio_the_error_names_the_extra(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    async with link() as (socket, _):
        monkeypatch.delitem(sys.modules, "longshore.sockets._anyio_stream", raising=False)
        monkeypatch.setitem(sys.modules, "anyio", None)
        with pytest.raises(ImportError, match=r"pip install longshore\[anyio\]"):
            socket.as_anyio_stream()
        assert not socket.readable.locked
