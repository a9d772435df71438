"""Half-open connections: case 47 of docs/conformance.md, both ways, plain and under TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore import ClosedError
from tests.loopback import linked, linked_tls

if TYPE_CHECKING:
    import ssl

    from longshore import TlsOptions


async def test_by_default_the_peers_end_closes_the_socket_once_it_is_read() -> None:
    """K7: 'bye' and a half close; reading to the end resolves ``closed``, a later write raises."""
    async with linked() as (socket, peer):
        await peer.send(b"bye")
        await peer.send_eof()
        assert await socket.readable.read() == b"bye"
        assert await socket.readable.read() == b""
        await socket.closed
        with pytest.raises(ClosedError, match="ended by the peer"):
            await socket.writable.write(b"too late")
        assert await peer.receive_until_end() == (b"", "eof")


async def test_the_peers_end_counts_only_when_everything_before_it_was_read() -> None:
    """K7: with bytes unread the write side is still open."""
    async with linked() as (socket, peer):
        await peer.send(b"unread")
        await peer.send_eof()
        assert await socket.readable.read(1) == b"u"
        await socket.writable.write(b"answer")
        assert await peer.receive_exactly(6) == b"answer"
        assert not socket.closed.done()


async def test_half_open_keeps_the_write_side_after_the_end() -> None:
    """K7: with ``allow_half_open`` 'still-open' is sent after end-of-file."""
    async with linked(allow_half_open=True) as (socket, peer):
        await peer.send_eof()
        assert await socket.readable.read() == b""
        await socket.writable.write(b"still-open")
        assert await peer.receive_exactly(10) == b"still-open"
        assert not socket.closed.done()
        await socket.writable.close()
        assert await peer.receive_until_end() == (b"", "eof")
        await socket.closed


async def test_the_end_nobody_reads_closes_the_socket_too() -> None:
    """K7: a FIN without unread bytes before it is noticed although nobody reads."""
    async with linked() as (socket, peer):
        await peer.send_eof()
        await socket.closed
        assert await peer.receive_until_end() == (b"", "eof")


async def test_a_reader_may_come_after_the_end() -> None:
    """K7: the end that was noticed without a reader is still end-of-file for a late one."""
    async with linked() as (socket, peer):
        await peer.send_eof()
        await socket.closed
        assert await socket.readable.read() == b""
        assert [chunk async for chunk in socket.readable] == []


async def test_half_open_under_tls_receives_after_our_end(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K10: the peer's data arrives after our close_notify."""
    async with linked_tls(client_tls, server_ssl_context, allow_half_open=True) as (socket, peer):
        await socket.writable.write(b"Hello")
        await socket.writable.close()
        assert await peer.receive_all() == b"Hello"
        await peer.send(b"Hello")
        await peer.send_eof()
        assert b"".join([chunk async for chunk in socket.readable]) == b"Hello"
        await socket.closed


async def test_half_open_under_tls_sends_after_the_peers_end(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K10: the peer's close_notify ends one direction only, with ``allow_half_open``."""
    async with linked_tls(client_tls, server_ssl_context, allow_half_open=True) as (socket, peer):
        await peer.send_eof()
        assert await socket.readable.read() == b""
        await socket.writable.write(b"still-open")
        await socket.writable.close()
        assert await peer.receive_all() == b"still-open"
        await socket.closed


async def test_the_peers_close_notify_ends_our_side_by_default(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K7: under TLS close_notify is the FIN, and is answered with close_notify."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
        await peer.send_eof()
        assert await socket.readable.read() == b""
        await socket.closed
        assert await peer.receive_all() == b""
