"""K13 for the adapters: each coroutine is cancelled at each of its suspensions; nothing leaks, no byte is lost."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from longshore import SocketError, connect
from longshore.adapters.asyncio_streams import open_connection
from longshore.adapters.httpcore_backend import LongshoreBackend
from longshore.adapters.protocol import create_connection, start_tls
from tests.adapters.http_app import HttpApp
from tests.adapters.recorder import Recorder
from tests.server_process import HOST
from tests.sweep import MODES, Attempt, sweep
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import ByteStream

    from longshore import Socket
    from tests.link import Link, Peer

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))

BIG = bytes(range(256)) * 2048
"""512 KiB: several times what the small receive buffer of the server takes."""


async def send_in_pieces(peer: Peer, data: bytes, size: int) -> None:
    """Send so slowly that the reader has to wait, and end."""
    for start in range(0, len(data), size):
        await peer.send(data[start : start + size])
        for _ in range(5):
            await asyncio.sleep(0)
    await peer.send_eof()


async def by_lines(reader: asyncio.StreamReader, lines: list[bytes]) -> None:
    async for line in reader:
        lines.append(line)  # noqa: PERF401 - what was read must be known when it is cancelled


async def by_sevens(reader: asyncio.StreamReader, lines: list[bytes]) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            lines.append(await reader.readexactly(7))


async def by_chunks(reader: asyncio.StreamReader, lines: list[bytes]) -> None:
    while data := await reader.read(4):
        lines.append(data)


@modes
@pytest.mark.parametrize("reading", [by_lines, by_sevens, by_chunks])
async def test_asyncio_reader(
    link: Link, reading: Callable[[asyncio.StreamReader, list[bytes]], Coroutine[Any, Any, None]], mode: str
) -> None:
    async def play(attempt: Attempt) -> None:
        async with link(allow_half_open=True) as (socket, peer):
            reader, _ = socket.as_asyncio_streams()
            lines: list[bytes] = []
            await attempt.run(reading(reader, lines), send_in_pieces(peer, b"line 1\nline 2\nline 3\n", 5))
            await reading(reader, lines)
            assert b"".join(lines) == b"line 1\nline 2\nline 3\n"

    assert await sweep(play, mode) >= 2


@modes
async def test_asyncio_drain(link: Link, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with link() as (socket, peer):
            _, writer = socket.as_asyncio_streams()
            writer.write(BIG * 8)
            receiving = asyncio.ensure_future(peer.receive_until_end())
            await attempt.run(writer.drain())
            writer.close()
            await writer.wait_closed()
            received, end = await receiving
            assert (len(received), end) == (len(BIG) * 8, "eof")

    assert await sweep(play, mode) >= 1


@modes
async def test_asyncio_wait_closed(link: Link, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with link() as (socket, peer):
            _, writer = socket.as_asyncio_streams()
            writer.write(BIG * 8)
            writer.close()
            await attempt.run(writer.wait_closed(), peer.receive_until_end())
            await writer.wait_closed()

    assert await sweep(play, mode) >= 1


async def shake_hands(raw: Any, context: ssl.SSLContext) -> None:
    """Be the server's side of a handshake that may be broken off."""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        await TlsPeer(raw, context).handshake()


@modes
async def test_asyncio_start_tls(server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            socket = connect(server.address, secure_transport="starttls")
            reader, writer = socket.as_asyncio_streams()
            async with await server.accept() as raw:
                await attempt.run(writer.start_tls(client_context), shake_hands(raw, server_ssl_context))
                if attempt.was_cancelled:
                    with pytest.raises(SocketError):
                        await reader.read()
                writer.transport.abort()
                await writer.wait_closed()

    assert await sweep(play, mode) >= 1


@modes
async def test_anyio_receive(link: Link, mode: str) -> None:
    async def receive(stream: ByteStream, received: bytearray) -> None:
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                received += await stream.receive(4)

    async def play(attempt: Attempt) -> None:
        async with link() as (socket, peer), socket.as_anyio_stream() as stream:
            received = bytearray()
            await attempt.run(receive(stream, received), send_in_pieces(peer, b"line 1\nline 2\nline 3\n", 5))
            await receive(stream, received)
            assert received == b"line 1\nline 2\nline 3\n"

    assert await sweep(play, mode) >= 5


@modes
async def test_anyio_send_and_send_eof(link: Link, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        sent: list[bytes] = []

        async def send() -> None:
            for part in (BIG, b"x", BIG):
                await stream.send(part)
                sent.append(part)
            await stream.send_eof()

        async with link() as (socket, peer), socket.as_anyio_stream() as stream:
            receiving = asyncio.ensure_future(peer.receive_until_end())
            await attempt.run(send())
            await stream.send_eof()
            received, end = await receiving
            assert end == "eof"
            whole = [b"".join((BIG, b"x", BIG)[:count]) for count in (len(sent), len(sent) + 1)]
            assert received in whole

    assert await sweep(play, mode) >= 4


@modes
async def test_anyio_aclose(link: Link, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with link(high_water_mark=len(BIG) * 9) as (socket, peer):
            stream = socket.as_anyio_stream()
            await stream.send(BIG * 8)
            receiving = asyncio.ensure_future(peer.receive_until_end())
            await attempt.run(stream.aclose())
            received, end = await receiving
            assert attempt.was_cancelled or (len(received), end) == (len(BIG) * 8, "eof")
            assert socket.closed.done()

    assert await sweep(play, mode) >= 2


async def to_a_transport(port: int, context: ssl.SSLContext | None) -> asyncio.BaseTransport:
    return (await create_connection(Recorder, "localhost", port, ssl=context))[0]


async def to_a_writer(port: int, context: ssl.SSLContext | None) -> asyncio.BaseTransport:
    return (await open_connection("localhost", port, ssl=context))[1].transport


async def to_a_socket(port: int, context: ssl.SSLContext | None) -> Socket:
    stream = await LongshoreBackend().connect_tcp("localhost", port)
    if context is not None:
        stream = await stream.start_tls(context, "localhost", timeout=30)
    return stream._held.socket


@modes
@pytest.mark.parametrize("opening", [to_a_transport, to_a_writer, to_a_socket])
async def test_opening(
    link: Link,
    client_context: ssl.SSLContext,
    opening: Callable[[int, ssl.SSLContext | None], Coroutine[Any, Any, asyncio.WriteTransport | Socket]],
    mode: str,
) -> None:
    async def play(attempt: Attempt) -> None:
        async with HttpApp(link.server_context if link.is_tls else None) as app:
            opened = await attempt.run(opening(app.port, client_context if link.is_tls else None))
            if opened is not None:
                opened.abort()

    assert await sweep(play, mode) >= 1


@modes
async def test_protocol_start_tls(
    server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext, mode: str
) -> None:
    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            _, port = server.address.split(":")
            transport, protocol = await create_connection(Recorder, HOST, int(port))
            async with await server.accept() as raw:
                shaking = asyncio.ensure_future(shake_hands(raw, server_ssl_context))
                await attempt.run(start_tls(transport, protocol, client_context))
                if transport.socket.secure_transport == "starttls":  # cancelled before anything was done
                    shaking.cancel()
                    await asyncio.wait([shaking])
                    transport.write(b"no TLS")
                    assert await raw.receive() == b"no TLS"
                    await raw.send(b"indeed")
                    assert await protocol.until_received(6) == b"indeed"
                    protocol.calls.remove("data")
                transport.abort()
                await protocol.until("lost")
                assert protocol.calls == ["made", "lost"]
                await asyncio.wait([shaking])

    assert await sweep(play, mode) >= 2
