"""``writer.start_tls()`` of ``Socket.as_asyncio_streams()``: the upgrade in place (rule K9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import ClosedError, TlsError, UsageError, connect
from tests.link import turns
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl

    from tests.link import Link


async def test_start_tls_in_place(server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """K9: as an SMTP client does it."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="starttls")
        reader, writer = socket.as_asyncio_streams()
        async with await server.accept() as raw:
            writer.write(b"STARTTLS\r\n")
            assert await raw.receive() == b"STARTTLS\r\n"
            await raw.send(b"220 go\r\n")
            assert await reader.readline() == b"220 go\r\n"
            peer = TlsPeer(raw, server_ssl_context)
            _, none = await asyncio.gather(
                peer.handshake(), writer.start_tls(client_context, server_hostname="localhost")
            )
            assert none is None
            assert socket.upgraded
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.write(b"EHLO\r\n")
            await writer.drain()
            assert await peer.receive() == b"EHLO\r\n"
            await peer.send(b"250 ok\r\n")
            assert await reader.readline() == b"250 ok\r\n"
            writer.close()
            await writer.wait_closed()
            assert await peer.receive_until_end() == (b"", "eof")


async def test_start_tls_refuses_bytes_that_came_too_early(client_context: ssl.SSLContext) -> None:
    """K9: what was read with the answer may have been injected (CVE-2021-23222)."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="starttls")
        reader, writer = socket.as_asyncio_streams()
        async with await server.accept() as raw:
            await raw.send(b"220 go\r\ninjected")
            assert await reader.readline() == b"220 go\r\n"
            with pytest.raises(UsageError, match="8 bytes unread"):
                await writer.start_tls(client_context)
            assert not socket.upgraded
            assert await reader.readexactly(8) == b"injected"
            await raw.send(b"more")
            while not socket._channel.stream or not socket._channel.stream.peek():
                await asyncio.sleep(0)
            with pytest.raises(TlsError, match="plaintext"):
                await writer.start_tls(client_context)
            with pytest.raises(TlsError, match="plaintext"):
                await reader.read()


async def test_start_tls_changes_nothing_when_it_is_refused(link: Link, client_context: ssl.SSLContext) -> None:
    """K9: wrong mode, and a pending read; the streams go on."""
    mode = "off" if not link.is_tls else "starttls"
    with RawServer() as server:
        reader, writer = connect(server.address, secure_transport=mode).as_asyncio_streams()
        reading = asyncio.ensure_future(reader.readline())
        async with await server.accept() as raw:
            await turns()
            with pytest.raises(UsageError, match="pending"):
                await writer.start_tls(client_context)
            await raw.send(b"line\n")
            assert await reading == b"line\n"
            if mode == "off":
                with pytest.raises(UsageError, match="starttls"):
                    await writer.start_tls(client_context)
            writer.write(b"on")
            assert await raw.receive() == b"on"
            writer.close()
            await writer.wait_closed()


async def test_a_cancelled_handshake_resets(client_context: ssl.SSLContext) -> None:
    """K13."""
    with RawServer() as server:
        reader, writer = connect(server.address, secure_transport="starttls").as_asyncio_streams()
        async with await server.accept() as raw:
            starting = asyncio.ensure_future(writer.start_tls(client_context))
            assert await raw.receive()  # its ClientHello
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert await raw.receive_until_end() == (b"", "reset")
            with pytest.raises(ClosedError):
                await reader.read()
