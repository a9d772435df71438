"""Tests of ``longshore.net.tls``: the stream contract over TLS, and what a pump of our own is there for.

Hostile peers are in ``tests/adversity/test_tls_fuzz.py``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.errors import TlsError
from longshore.net.tls import MAX_RECORD_BYTES, TlsStream
from longshore.net.tls_context import client_context
from longshore.testing import STREAM_CHECKS, StreamCheck, StreamDriver, run_check
from tests.net.pairs import fd_stream_pair
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl

    from longshore import TlsOptions


FORGED_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)


async def tls_pair(context: ssl.SSLContext, options: TlsOptions) -> tuple[TlsStream, TlsPeer]:
    """Return a stream after its handshake, and its peer."""
    inner, raw = await fd_stream_pair()
    stream = TlsStream(inner, client_context(options, ()), "localhost", "the peer")
    peer = TlsPeer(raw, context)
    answering = asyncio.create_task(peer.handshake())
    await stream.handshake()
    assert stream.flush()
    await answering
    return stream, peer


@pytest.mark.parametrize("check", STREAM_CHECKS, ids=lambda check: check.__name__)
async def test_it_keeps_the_contract(
    check: StreamCheck, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    await run_check(check, lambda: tls_pair(server_ssl_context, client_tls))


async def test_the_first_bytes_leave_with_the_last_flight_of_the_handshake(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K2: the client's Finished waits for company."""
    inner, raw = await fd_stream_pair()
    stream = TlsStream(inner, client_context(client_tls, ()), "localhost", "the peer")
    peer = TlsPeer(raw, server_ssl_context)
    handshake = asyncio.create_task(stream.handshake())
    peer.engine.feed(await raw.receive())
    assert not peer.engine.try_handshake()
    await raw.send(peer.engine.take())
    await handshake
    assert stream.try_write(b"GET /") == 5
    peer.engine.feed(await raw.receive())
    assert peer.engine.try_handshake()
    assert peer.engine.ssl.read(100) == b"GET /"
    stream.close()
    peer.close()


async def test_small_writes_are_one_record_and_large_ones_full_records(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    stream, peer = await tls_pair(server_ssl_context, client_tls)
    driver = StreamDriver(stream)
    await driver.send(bytes(100_000))
    sizes: list[int] = []
    while sum(sizes) < 100_000:
        sizes.append(len(await peer.receive()))
    assert set(sizes[:-1]) == {MAX_RECORD_BYTES}
    driver.close()
    peer.close()


async def test_read_into_takes_as_many_records_as_fit(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    stream, peer = await tls_pair(server_ssl_context, client_tls)
    driver = StreamDriver(stream)
    await peer.raw.send(peer.engine.records(bytes(1000)) + peer.engine.records(bytes(2000)))
    assert await driver.receive(500) == bytes(500)
    while stream.peek() is None:
        await asyncio.sleep(0)
    buffer = bytearray(60_000)
    assert stream.try_read_into(memoryview(buffer)) == 500  # what is decrypted already
    assert stream.try_read_into(memoryview(buffer)) == 2000
    driver.close()
    peer.close()


async def test_read_into_gives_what_came_before_a_bad_record(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K5: the good record first, then the error, as ``try_read`` does; nothing is lost in between."""
    stream, peer = await tls_pair(server_ssl_context, client_tls)
    driver = StreamDriver(stream)
    await peer.raw.send(peer.engine.records(b"first") + peer.engine.records(b"good") + FORGED_RECORD)
    assert await driver.receive(5) == b"first"  # the rest is here too, for it came in the same segment
    buffer = bytearray(MAX_RECORD_BYTES * 3)
    assert stream.try_read_into(memoryview(buffer)) == 4
    assert buffer[:4] == b"good"
    for _ in range(2):
        with pytest.raises(TlsError):
            stream.try_read_into(memoryview(buffer))
    driver.abort()
    peer.close()


async def test_the_name_is_sent_but_an_ip_literal_is_not(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K11; RFC 6066 §3."""
    seen: list[str | None] = []
    server_ssl_context.sni_callback = lambda _, name, __: seen.append(name)
    try:
        for name in ("localhost", "localhost.", "127.0.0.1", "::1"):
            inner, raw = await fd_stream_pair()
            stream = TlsStream(inner, client_context(client_tls, ()), name, "the peer")
            answering = asyncio.create_task(TlsPeer(raw, server_ssl_context).handshake())
            await stream.handshake()
            stream.flush()
            await answering
            stream.close()
            raw.close()
    finally:
        server_ssl_context.sni_callback = None
    assert seen == ["localhost", "localhost", None, None]
