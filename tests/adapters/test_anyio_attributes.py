"""``Socket.as_anyio_stream()``: its attributes, and the tools of anyio on top of it."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING

import pytest
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSAttribute, TLSStream

from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from longshore import TlsOptions
    from tests.link import Link


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


@pytest.mark.parametrize("link", ["plain"], indirect=True)
async def test_without_anyio_the_error_names_the_extra(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    async with link() as (socket, _):
        monkeypatch.delitem(sys.modules, "longshore.sockets._anyio_stream", raising=False)
        monkeypatch.setitem(sys.modules, "anyio", None)
        with pytest.raises(ImportError, match=r"pip install longshore\[anyio\]"):
            socket.as_anyio_stream()
        assert not socket.readable.locked
