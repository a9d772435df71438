"""Programs that know nothing of us, over ``create_connection()``: the protocols of asyncio itself."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from longshore.adapters.protocol import create_connection
from tests.adapters.recorder import Recorder, driven
from tests.link import BIG, turns
from tests.server_process import HOST
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from tests.link import Link


async def test_the_stream_protocol_of_asyncio_works_on_it(link: Link) -> None:
    """``asyncio.StreamReaderProtocol``, unmodified: with its reader, which is pushed to, and its writer."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1000, loop=loop)
    async with driven(link, lambda: asyncio.StreamReaderProtocol(reader, loop=loop)) as (transport, protocol, peer):
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        writer.write(b"line\n")
        await writer.drain()
        assert await peer.receive() == b"line\n"
        sending = asyncio.ensure_future(peer.send(BIG))
        await turns()
        assert not sending.done()  # the reader has paused the transport
        assert await reader.readexactly(len(BIG)) == BIG
        await sending
        await peer.send_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_the_stream_protocol_of_asyncio_is_told_of_a_reset(link: Link) -> None:
    """K5."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    async with driven(link, lambda: asyncio.StreamReaderProtocol(reader, loop=loop)) as (transport, protocol, peer):
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        reading = asyncio.ensure_future(reader.read())
        await turns()
        peer.abort()
        with pytest.raises(ConnectionError):
            await reading
        with pytest.raises(ConnectionError):
            await writer.drain()
        with pytest.raises(ConnectionError):
            await writer.wait_closed()


@pytest.mark.one_loop("asyncio")
@pytest.mark.parametrize("link", ["plain"], indirect=True)
async def test_the_tls_of_asyncio_works_on_it(link: Link, client_context: ssl.SSLContext) -> None:
    """``asyncio.sslproto.SSLProtocol``, put on it by ``loop.start_tls()``; uvloop's takes its own transports only."""
    loop = asyncio.get_running_loop()
    tls_link = type(link)(True, link.server_context, link.client_tls)
    with RawServer() as server:
        _, port = server.address.split(":")
        connecting = asyncio.ensure_future(create_connection(Recorder, HOST, int(port)))
        accepting = asyncio.ensure_future(tls_link.accept(server))
        transport, protocol = await connecting
        upgraded = await loop.start_tls(transport, protocol, client_context, server_hostname="localhost")
        assert upgraded is not None
        async with await accepting as peer:
            upgraded.write(b"question")
            assert await peer.receive() == b"question"
            await peer.send(b"answer")
            assert await protocol.until_received(6) == b"answer"
            upgraded.abort()
            await protocol.until("lost")
        await turns()


@pytest.mark.one_loop("asyncio")
async def test_a_failure_of_the_tls_of_asyncio_ends_the_connection(
    other_ca_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    with RawServer() as server:
        _, port = server.address.split(":")
        transport, protocol = await create_connection(Recorder, HOST, int(port))
        async with await server.accept() as raw:
            handshake = asyncio.ensure_future(TlsPeer(raw, other_ca_ssl_context).handshake())
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.get_running_loop().start_tls(transport, protocol, client_context)
            assert transport.is_closing()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await handshake
            await turns()
