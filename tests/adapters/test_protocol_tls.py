"""``longshore.adapters.protocol.start_tls()``: the upgrade under a protocol (rule K9)."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore import ArgumentTypeError, ResetError, TlsError, UsageError
from longshore.adapters.protocol import ProtocolTransport, create_connection, start_tls
from tests.adapters.recorder import Recorder
from tests.link import BIG, turns
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Paused(Recorder):
    """Wants nothing to be read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


class HalfOpen(Recorder):
    """Goes on writing after the end of the peer."""

    def eof_received(self) -> bool:
        super().eof_received()
        return True


@asynccontextmanager
async def plain(
    factory: type[Recorder] = Recorder, **options: Any
) -> AsyncIterator[tuple[ProtocolTransport, Recorder, RawPeer]]:
    """Give a protocol on a plain connection that may be upgraded."""
    with RawServer(receive_buffer_bytes=4096) as server:
        host, _, port = server.address.rpartition(":")
        transport, protocol = await create_connection(factory, host, int(port), **options)
        async with await server.accept() as peer:
            try:
                yield transport, protocol, peer
            finally:
                transport.abort()


async def test_the_same_transport_goes_on_under_tls(
    server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with plain() as (transport, first, raw):
        transport.write(b"SSLRequest")
        assert await raw.receive() == b"SSLRequest"
        await raw.send(b"S")
        await first.until_received(1)
        second, peer = Recorder(), TlsPeer(raw, server_ssl_context)
        upgraded, _ = await asyncio.gather(
            start_tls(transport, second, client_context, server_hostname="localhost"), peer.handshake()
        )
        assert upgraded is transport
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        transport.write(b"question")
        assert await peer.receive() == b"question"
        await peer.send(b"answer")
        assert await second.until_received(6) == b"answer"
        transport.write_eof()
        assert await peer.receive_until_end() == (b"", "eof")
        await peer.send(b" later")  # K10
        assert await second.until_received(12) == b"answer later"
        await peer.send_eof()
        await second.until("lost")
        assert second.error is None
        assert first.calls == ["made", "data"]


async def test_what_was_written_before_leaves_first(
    server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with plain() as (transport, protocol, raw):
        transport.set_write_buffer_limits(high=2 * len(BIG))
        transport.write(BIG)
        starting = asyncio.ensure_future(start_tls(transport, protocol, client_context, server_hostname="localhost"))
        assert await raw.receive_exactly(len(BIG)) == BIG
        await TlsPeer(raw, server_ssl_context).handshake()
        await starting
        assert protocol.calls == ["made"]


async def test_tls_inside_tls(server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """As through an HTTPS proxy; the inner records are the outer one's data."""
    async with plain() as (transport, protocol, raw):
        outer = TlsPeer(raw, server_ssl_context)
        await asyncio.gather(
            start_tls(transport, protocol, client_context, server_hostname="localhost"), outer.handshake()
        )
        inner = TlsPeer(outer, server_ssl_context)  # type: ignore[arg-type]  # has all that is used of a RawPeer
        await asyncio.gather(
            start_tls(transport, protocol, client_context, server_hostname="127.0.0.1"), inner.handshake()
        )
        transport.write(BIG)
        received = bytearray()
        while len(received) < len(BIG):
            received += await inner.receive()
        assert received == BIG
        sending = asyncio.ensure_future(inner.send(BIG))
        assert await protocol.until_received(len(BIG)) == BIG
        await sending
        await inner.send_eof()
        await protocol.until("lost")
        assert protocol.error is None
        assert await inner.receive() == b""


async def test_a_failed_handshake_is_raised_and_given_to_connection_lost(
    other_ca_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with plain() as (transport, protocol, raw):
        starting = asyncio.ensure_future(start_tls(transport, protocol, client_context))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await TlsPeer(raw, other_ca_ssl_context).handshake()
        with pytest.raises(TlsError) as caught:
            await starting
        await protocol.until("lost")
        assert protocol.error is caught.value
        assert protocol.calls == ["made", "lost"]


async def test_bytes_before_the_handshake_are_refused(client_context: ssl.SSLContext) -> None:
    """K9: an attacker may have injected them (CVE-2021-23222); those held back by a pause too."""
    async with plain() as (transport, protocol, raw):
        await turns()
        transport.pause_reading()
        await raw.send(b"injected")
        await turns()
        with pytest.raises(UsageError, match="injected"):
            await start_tls(transport, protocol, client_context)
        transport.resume_reading()
        assert await protocol.until_received(8) == b"injected"
    async with plain(Paused) as (transport, protocol, raw):
        await raw.send(b"injected")
        await turns()
        with pytest.raises(TlsError, match="plaintext"):
            await start_tls(transport, protocol, client_context)


async def test_a_refused_upgrade_changes_nothing(client_context: ssl.SSLContext) -> None:
    async with plain(secure_transport="off") as (transport, protocol, raw):
        for _ in range(2):
            with pytest.raises(UsageError, match="starttls"):
                await start_tls(transport, protocol, client_context)
            await raw.send(b"on")
            await protocol.until("data")
        assert await protocol.until_received(4) == b"onon"
    async with plain() as (transport, protocol, raw):
        transport.write(BIG)
        await turns()
        assert protocol.calls == ["made", "pause"]
        with pytest.raises(UsageError, match="pending"):
            await start_tls(transport, protocol, client_context)
        assert await raw.receive_exactly(len(BIG)) == BIG
        await protocol.until("resume")


async def test_a_refused_upgrade_after_the_end_of_the_peer_repeats_nothing(client_context: ssl.SSLContext) -> None:
    async with plain(HalfOpen) as (transport, protocol, raw):
        await raw.send_eof()
        await protocol.until("eof")
        with pytest.raises(UsageError, match="ended"):
            await start_tls(transport, protocol, client_context)
        await turns()
        assert protocol.calls == ["made", "eof"]


async def test_only_our_transports_are_upgraded(client_context: ssl.SSLContext) -> None:
    with pytest.raises(ArgumentTypeError, match=r"create_connection\(\)"):
        await start_tls(asyncio.Transport(), Recorder(), client_context)


async def test_a_cancelled_handshake_resets(client_context: ssl.SSLContext) -> None:
    """K13."""
    async with plain() as (transport, protocol, raw):
        starting = asyncio.ensure_future(start_tls(transport, protocol, client_context))
        assert await raw.receive()  # its ClientHello
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert await raw.receive_until_end() == (b"", "reset")
        await protocol.until("lost")


async def test_a_connection_that_broke_is_not_upgraded(client_context: ssl.SSLContext) -> None:
    async with plain() as (transport, protocol, raw):
        raw.abort()
        await protocol.until("lost")
        assert isinstance(protocol.error, ResetError)
        with pytest.raises(UsageError, match="closed"):
            await start_tls(transport, protocol, client_context)
        await turns()
        assert protocol.calls == ["made", "lost"]
