"""STARTTLS: cases 17 to 22 of docs/conformance.md."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from longshore import ClosedError, TlsError, UsageError
from tests.certificates import CertificateFiles, server_context
from tests.conformance.starttls_server import agree_on_tls, greet, serve_pings
from tests.loopback import ending, linked, outcome

if TYPE_CHECKING:
    from longshore import TlsOptions

STARTTLS = {"secure_transport": "starttls"}


def listening_for_names(files: CertificateFiles) -> tuple[ssl.SSLContext, list[str | None]]:
    """Return a server's context and the list of the SNI names it will see."""
    names: list[str | None] = []
    context = server_context(files)
    context.sni_callback = lambda _, name, __: names.append(name)
    return context, names


async def test_upgrade_after_an_agreement_in_plaintext(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: read HELLO, write HELLO_BACK, read START_TLS, upgrade, ping, pong, close."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        await asyncio.gather(greet(peer), agree_on_tls(socket))
        secure = socket.start_tls()
        async with ending(secure):
            serving = asyncio.create_task(serve_pings(peer, server_ssl_context))
            await secure.opened
            await secure.writable.write(b"ping\n")
            assert await secure.readable.read() == b"pong\n"
            tls_peer = await serving
            closing = secure.close()
            assert await tls_peer.receive() == b""
            await closing


async def test_upgrade_with_trust_given_at_the_upgrade(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: the overrides of ``start_tls()`` replace what ``connect()`` was given."""
    async with linked(**STARTTLS) as (socket, peer):
        secure = socket.start_tls(tls=client_tls, sni="localhost")
        async with ending(secure):
            serving = asyncio.create_task(serve_pings(peer, server_ssl_context))
            await secure.writable.write(b"ping\n")
            assert await secure.readable.read() == b"pong\n"
            await serving


async def test_the_servers_name_travels_as_sni(client_tls: TlsOptions, server_cert_files: CertificateFiles) -> None:
    """K11: the name given to ``connect()`` is what the server sees at the upgrade."""
    context, names = listening_for_names(server_cert_files)
    async with linked(**STARTTLS, tls=client_tls, sni="localhost") as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            await asyncio.gather(serve_pings(peer, context, 0), secure.opened)
            assert names == ["localhost"]


async def test_a_name_given_at_the_upgrade_wins(client_tls: TlsOptions, server_cert_files: CertificateFiles) -> None:
    """K11: ``start_tls(sni=…)`` is stored, sent and verified; the address given to ``connect()`` stays."""
    context, names = listening_for_names(server_cert_files)
    async with linked(**STARTTLS, tls=client_tls, sni="elsewhere.example") as (socket, peer):
        secure = socket.start_tls(sni="localhost")
        async with ending(secure):
            serving = asyncio.create_task(serve_pings(peer, context))
            await secure.writable.write(b"ping\n")
            assert await secure.readable.read() == b"pong\n"
            await serving
            assert names == ["localhost"]
            assert secure.address == socket.address


async def test_attributes_before_during_and_after_the_upgrade(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: the old socket is ``upgraded`` and keeps 'starttls'; the new one is 'on' and not upgraded."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        assert (socket.secure_transport, socket.upgraded) == ("starttls", False)
        secure = socket.start_tls()
        async with ending(secure):
            assert (secure.secure_transport, secure.upgraded) == ("on", False)
            await socket.closed
            assert (socket.secure_transport, socket.upgraded) == ("starttls", True)
            await asyncio.gather(serve_pings(peer, server_ssl_context, 0), secure.opened)


async def test_opened_waits_for_the_handshake(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: with a ClientHello sent and no answer yet, ``opened`` of the new socket is pending."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            hello = await peer.receive()
            assert hello[:1] == b"\x16"  # a handshake record
            assert not secure.opened.done()
            peer.abort()
            assert isinstance(await outcome(secure.opened), Exception)
    del server_ssl_context


async def test_the_old_socket_is_over(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K9: reading and writing the old socket raises and says where to go on."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            with pytest.raises(ClosedError, match="use the socket that it returned"):
                await socket.readable.read()
            with pytest.raises(ClosedError, match="use the socket that it returned"):
                await socket.writable.write(b"lost?")
            with pytest.raises(UsageError, match="called before"):
                socket.start_tls()
            await asyncio.gather(serve_pings(peer, server_ssl_context, 0), secure.opened)


async def test_a_failed_upgrade_says_so_everywhere(
    client_tls: TlsOptions, other_ca_ssl_context: ssl.SSLContext
) -> None:
    """K5: an untrusted certificate: ``opened``, ``closed``, reads and writes raise, nothing reads as end-of-file."""
    async with linked(**STARTTLS, tls=client_tls) as (socket, peer):
        secure = socket.start_tls()
        async with ending(secure):
            serving = asyncio.create_task(serve_pings(peer, other_ca_ssl_context))
            error = await outcome(secure.opened)
            assert isinstance(error, TlsError)
            assert error.verify_reason is not None
            assert await outcome(secure.closed) is error
            with pytest.raises(TlsError):
                await secure.readable.read()
            with pytest.raises(TlsError):
                await secure.writable.write(b"ping\n")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await serving
