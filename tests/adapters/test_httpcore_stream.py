"""``SocketNetworkStream``: what httpcore does with one connection."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpcore
import httpx
import pytest

from longshore import (
    ClosedError,
    DirectDialer,
    ResetError,
    TlsError,
    connect,
)
from longshore.adapters.httpcore_backend import LongshoreBackend, OneSocketBackend, httpx_transport, socket_error_of
from longshore.testing import StaticResolver
from tests.link import BIG, turns
from tests.server_process import HOST
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from tests.link import Link


async def test_the_facts_have_the_names_of_httpcore(link: Link) -> None:
    async with link() as (socket, peer):
        stream = await OneSocketBackend(socket).connect_tcp("unused", 1)
        raw = peer.raw if isinstance(peer, TlsPeer) else peer
        assert stream.get_extra_info("server_addr") == raw.sock.getsockname()
        assert stream.get_extra_info("client_addr") == raw.sock.getpeername()
        assert stream.get_extra_info("socket").fileno() >= 0
        assert (stream.get_extra_info("ssl_object") is not None) == link.is_tls
        assert stream.get_extra_info("is_readable") is False
        assert stream.get_extra_info("nonsense") is None
        await peer.send(b"x")
        await turns()
        assert stream.get_extra_info("is_readable") is True
        assert await stream.read(1) == b"x"
        await stream.write(b"")
        await stream.aclose()
        assert stream.get_extra_info("is_readable") is True


async def test_a_handshake_has_its_timeout_and_its_errors(
    client_context: ssl.SSLContext, other_ca_ssl_context: ssl.SSLContext
) -> None:
    with RawServer() as server:
        url = f"https://{server.address}/"
        async with httpx.AsyncClient(transport=httpx_transport(verify=client_context)) as client:
            getting = asyncio.ensure_future(client.get(url, timeout=httpx.Timeout(None, connect=0.05)))
            async with await server.accept() as raw:
                with pytest.raises(httpx.ConnectTimeout):
                    await getting
                assert (await raw.receive_until_end())[1] == "reset"
            getting = asyncio.ensure_future(client.get(url))
            async with await server.accept() as raw:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await TlsPeer(raw, other_ca_ssl_context).handshake()
                with pytest.raises(httpx.ConnectError, match="certificate") as caught:
                    await getting
                assert isinstance(socket_error_of(caught.value), TlsError)


async def test_reading_and_writing_have_their_timeouts_and_errors(link: Link) -> None:
    async with link() as (socket, _):
        stream = await OneSocketBackend(socket).connect_tcp("unused", 1)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(1, timeout=0.0)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(BIG, timeout=0.01)
        await stream.aclose()
    async with link() as (socket, peer):
        stream = await OneSocketBackend(socket).connect_tcp("unused", 1)
        reading = asyncio.ensure_future(stream.read(1))
        await turns()
        peer.abort()
        with pytest.raises(httpcore.ReadError) as read:
            await reading
        assert isinstance(read.value.__cause__, ResetError)
        with pytest.raises(httpcore.WriteError) as write:
            await stream.write(b"x")
        assert isinstance(write.value.__cause__, ResetError)
        await stream.aclose()


async def test_an_unopened_socket_has_the_timeout_of_the_connect() -> None:
    resolver = StaticResolver({"slow.example": [HOST]}, gate=asyncio.Event())
    socket = connect("slow.example:80", dialer=DirectDialer(resolver=resolver))
    with pytest.raises(httpcore.ConnectTimeout):
        await OneSocketBackend(socket).connect_tcp("unused", 1, timeout=0.01)
    with pytest.raises(ClosedError):
        await socket.closed


async def test_closing_that_is_cancelled_resets(link: Link) -> None:
    """K13."""
    async with link(high_water_mark=2 * len(BIG)) as (socket, peer):
        stream = await OneSocketBackend(socket).connect_tcp("unused", 1)
        await stream.write(BIG)
        closing = asyncio.ensure_future(stream.aclose())
        await turns()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert (await peer.receive_until_end())[1] == "reset"


async def test_a_stream_that_cannot_be_upgraded_is_ended(client_context: ssl.SSLContext) -> None:
    """Httpcore itself would leave it open."""
    with RawServer() as server:
        _, port = server.address.split(":")
        stream = await LongshoreBackend().connect_tcp(HOST, int(port))
        async with await server.accept() as peer:
            with pytest.raises(httpcore.ConnectTimeout):
                await stream.start_tls(client_context, timeout=0.0)
            assert await peer.receive_until_end() == (b"", "reset")
        stream = await LongshoreBackend().connect_tcp(HOST, int(port))
        async with await server.accept() as peer:
            reading = asyncio.ensure_future(stream.read(1))
            await turns()
            with pytest.raises(httpcore.ConnectError, match="pending"):
                await stream.start_tls(client_context)
            with pytest.raises(httpcore.ReadError):
                await reading
            assert await peer.receive_until_end() == (b"", "reset")
