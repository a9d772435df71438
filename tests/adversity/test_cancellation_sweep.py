"""K13: every public coroutine is cancelled at each of its suspensions; nothing leaks, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from longshore import ClosedError, DirectDialer, Socket, TlsOptions, connect
from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.core.tls_options import TlsRequest
from longshore.testing import StaticResolver
from tests.net.test_connect import silent_port
from tests.sweep import MODES, Attempt, sweep
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from longshore import ReadableStream
    from longshore.abc import Connection

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))

CHUNKS = [bytes([65 + number]) * 1000 for number in range(6)]
TEXT = b"".join(CHUNKS)
BIG = bytes(range(256)) * 1024
"""256 KiB: several times what the small receive buffer of the server takes."""


@pytest.fixture(scope="module")
def tls_on(client_tls: TlsOptions) -> dict[str, Any]:
    """The options of a TLS connection."""
    return {"secure_transport": "on", "tls": client_tls}


@asynccontextmanager
async def plain(**options: Any) -> AsyncIterator[tuple[Socket, RawPeer]]:
    """Give both ends of an open connection, and end them."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, **options)
        async with await server.accept() as peer:
            await socket.opened
            yield socket, peer
            socket.abort()
            await ended(socket)


@asynccontextmanager
async def secure(context: ssl.SSLContext, options: dict[str, Any]) -> AsyncIterator[tuple[Socket, TlsPeer]]:
    """Give both ends of an open TLS connection, and end them."""
    with RawServer() as server:
        socket = connect(server.address, **options)
        async with TlsPeer(await server.accept(), context) as peer:
            await asyncio.gather(peer.handshake(), socket.opened)
            yield socket, peer
            socket.abort()
            await ended(socket)


async def ended(socket: Socket) -> None:
    """Wait until nothing of it is left."""
    with contextlib.suppress(ClosedError):
        await socket.closed


async def send_slowly(peer: RawPeer | TlsPeer, chunks: Iterable[bytes], *, eof: bool = True) -> None:
    """Send each chunk by itself, so that a reader has to wait for it."""
    for chunk in chunks:
        await peer.send(chunk)
        for _ in range(5):
            await asyncio.sleep(0)
    if eof:
        await peer.send_eof()


# -- reading -----------------------------------------------------------------------------------------


async def by_read(stream: ReadableStream, received: bytearray) -> None:
    while data := await stream.read(700):
        received += data


async def by_read_into(stream: ReadableStream, received: bytearray) -> None:
    """A cancelled read_into() has filled nothing that the next one does not fill again."""
    buffer = bytearray(700)
    while count := await stream.read_into(buffer):
        received += buffer[:count]


async def by_async_for(stream: ReadableStream, received: bytearray) -> None:
    async for chunk in stream:
        received += chunk


async def by_reader(stream: ReadableStream, received: bytearray) -> None:
    reader = stream.get_reader()
    try:
        while data := await reader.read():
            received += data
    finally:
        reader.release_lock()


READINGS = [by_read, by_read_into, by_async_for, by_reader]
readings = pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.__name__)

Reading: TypeAlias = "Callable[[ReadableStream, bytearray], Coroutine[Any, Any, None]]"


@modes
@readings
async def test_a_cancelled_read_loses_no_byte(reading: Reading, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain(allow_half_open=True) as (socket, peer):
            received = bytearray()
            await attempt.run(reading(socket.readable, received), send_slowly(peer, CHUNKS))
            await reading(socket.readable, received)
            assert received == TEXT

    assert await sweep(play, mode) >= 2


@modes
@readings
async def test_a_cancelled_read_loses_no_byte_under_tls(
    reading: Reading, mode: str, server_ssl_context: ssl.SSLContext, tls_on: dict[str, Any]
) -> None:
    async def play(attempt: Attempt) -> None:
        async with secure(server_ssl_context, tls_on) as (socket, peer):
            received = bytearray()
            await attempt.run(reading(socket.readable, received), send_slowly(peer, CHUNKS))
            await reading(socket.readable, received)
            assert received == TEXT

    assert await sweep(play, mode) >= 2


@modes
async def test_a_cancelled_branch_of_a_tee_costs_neither_branch_a_byte(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain(allow_half_open=True) as (socket, peer):
            first, second = socket.readable.tee()
            got_first, got_second = bytearray(), bytearray()

            async def others() -> None:
                await asyncio.gather(by_read(second, got_second), send_slowly(peer, CHUNKS))

            await attempt.run(by_read(first, got_first), others())
            await by_read(first, got_first)
            assert got_first == got_second == TEXT

    assert await sweep(play, mode) >= 2


# -- writing -----------------------------------------------------------------------------------------


class Writing:
    """Writes chunks and counts those that were acknowledged."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.acknowledged = 0

    async def write_to(self, socket: Socket) -> None:
        for chunk in self.chunks:
            await socket.writable.write(chunk)
            self.acknowledged += 1

    def check(self, received: bytes) -> None:
        """Every acknowledged chunk arrived, one more may have, and none in part."""
        allowed = [b"".join(self.chunks[:count]) for count in (self.acknowledged, self.acknowledged + 1)]
        assert received in allowed, f"{len(received)} bytes arrived, {self.acknowledged} chunks were acknowledged"


@modes
@pytest.mark.parametrize("high_water_mark", [1, 100_000, 1 << 30])
async def test_a_cancelled_write_is_whole_or_not_at_all(high_water_mark: int, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain(high_water_mark=high_water_mark) as (socket, peer):
            writing = Writing([BIG, BIG[::-1], b"x" * 100_000, b"y", BIG])
            receiving = asyncio.create_task(collect(peer, after_turns=20))
            await attempt.run(writing.write_to(socket))
            socket.close(timeout_s=None)
            received, end = await receiving
            assert end == "eof"
            writing.check(received)
            await socket.closed

    await sweep(play, mode)


@modes
async def test_a_cancelled_early_write_is_whole_or_not_at_all(mode: str) -> None:
    """K2."""

    async def play(attempt: Attempt) -> None:
        gate = asyncio.Event()
        resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=gate)
        with RawServer() as server:
            port = server.address.rpartition(":")[2]
            socket = connect(f"slow.example:{port}", dialer=DirectDialer(resolver=resolver), high_water_mark=1500)
            writing = Writing(CHUNKS)

            async def open_the_gate() -> None:
                gate.set()

            await attempt.run(writing.write_to(socket), open_the_gate())
            async with await server.accept() as peer:
                socket.close()
                received, end = await peer.receive_until_end()
                assert end == "eof"
                writing.check(received)
                await socket.closed

    assert await sweep(play, mode) >= 1


@modes
async def test_concurrent_writers_keep_their_chunks_whole(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain(high_water_mark=1000) as (socket, peer):
            others = [asyncio.create_task(socket.writable.write(bytes([97 + n]) * 200_000)) for n in range(3)]
            receiving = asyncio.create_task(collect(peer, after_turns=20))
            await attempt.run(socket.writable.write(b"*" * 200_000))
            await asyncio.gather(*others)
            socket.close(timeout_s=None)
            received, _ = await receiving
            counts = {letter: received.count(letter) for letter in (b"a", b"b", b"c")}
            assert set(counts.values()) == {200_000}
            assert (
                received.count(b"*") == 200_000 if not attempt.was_cancelled else received.count(b"*") in (0, 200_000)
            )

    assert await sweep(play, mode) >= 1


@modes
async def test_cancelling_ready_changes_nothing(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain(high_water_mark=len(BIG) * 8 + 1) as (socket, peer):
            writer = socket.writable.get_writer()
            await writer.write(BIG * 8)
            writing = asyncio.create_task(writer.write(BIG))
            await asyncio.sleep(0)

            async def wait() -> None:
                await writer.ready

            receiving = asyncio.create_task(collect(peer, after_turns=20))
            await attempt.run(wait())
            await writing
            await writer.close()
            received, end = await receiving
            assert (len(received), end) == (9 * len(BIG), "eof")

    assert await sweep(play, mode) >= 1


@modes
async def test_cancelling_writer_close_does_not_stop_the_flushing(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain(high_water_mark=1 << 30) as (socket, peer):
            writer = socket.writable.get_writer()
            await writer.write(BIG * 8)
            receiving = asyncio.create_task(collect(peer, after_turns=20))
            await attempt.run(writer.close())
            received, end = await receiving
            assert (len(received), end) == (8 * len(BIG), "eof")

    assert await sweep(play, mode) >= 1


async def collect(peer: RawPeer, *, after_turns: int = 0) -> tuple[bytes, str]:
    """Receive everything, after a while in which the sender has to wait."""
    for _ in range(after_turns):
        await asyncio.sleep(0)
    return await peer.receive_until_end()


# -- moving ------------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize("is_clogged", [False, True], ids=["free", "clogged"])
async def test_a_cancelled_pipe_can_be_taken_up_again(is_clogged: bool, mode: str) -> None:
    """Clogged: a write before the pipe was cancelled and left the queue above its mark."""

    async def play(attempt: Attempt) -> None:
        async with plain(allow_half_open=True) as (source, sender), plain(high_water_mark=1000) as (sink, receiver):
            before = b"" if not is_clogged else BIG * 8
            if before:
                writing = asyncio.create_task(sink.writable.write(before))
                await asyncio.sleep(0)
                writing.cancel()
                await asyncio.wait([writing])
            receiving = asyncio.create_task(collect(receiver, after_turns=30))
            text = [BIG, *CHUNKS, BIG]
            sending = asyncio.create_task(send_slowly(sender, text))
            await attempt.run(source.readable.pipe_to(sink.writable, prevent_close=True))
            assert not source.readable.locked
            assert not sink.writable.locked
            await source.readable.pipe_to(sink.writable)
            await sending
            received, end = await receiving
            assert end == "eof"
            assert received == before + b"".join(text)

    assert await sweep(play, mode) >= 2


# -- opening and ending ------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
async def test_cancelling_who_waits_for_opened_leaves_the_connect_alone(
    is_secure: bool, mode: str, server_ssl_context: ssl.SSLContext, tls_on: dict[str, Any]
) -> None:
    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            socket = connect(server.address, **(tls_on if is_secure else {}))
            raw = await server.accept()
            peer = TlsPeer(raw, server_ssl_context) if is_secure else raw
            async with peer:
                await attempt.run(wait_for(socket.opened), peer.handshake() if isinstance(peer, TlsPeer) else None)
                await socket.opened
                await socket.writable.write(b"hello")
                assert await peer.receive() == b"hello"
                socket.abort()
                await ended(socket)

    await sweep(play, mode)


@modes
async def test_cancelling_who_waits_for_closed_leaves_the_socket_alone(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain() as (socket, peer):
            await attempt.run(wait_for(socket.closed), peer.send_eof())
            await socket.closed

    assert await sweep(play, mode) == 1


@modes
async def test_cancelling_close_does_not_stop_it(mode: str) -> None:
    """K8."""

    async def play(attempt: Attempt) -> None:
        async with plain(high_water_mark=1 << 30) as (socket, peer):
            await socket.writable.write(BIG * 8)
            receiving = asyncio.create_task(collect(peer, after_turns=20))
            await attempt.run(wait_for(socket.close()))
            received, end = await receiving
            assert (len(received), end) == (8 * len(BIG), "eof")
            await socket.closed

    assert await sweep(play, mode) == 1


@modes
@pytest.mark.parametrize("what", ["readable.cancel", "writable.abort", "reader.cancel", "writer.abort"])
async def test_cancel_and_abort_do_not_wait(what: str, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with plain() as (socket, _):
            subjects: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
                "readable.cancel": socket.readable.cancel,
                "writable.abort": socket.writable.abort,
                "reader.cancel": lambda: socket.readable.get_reader().cancel(),
                "writer.abort": lambda: socket.writable.get_writer().abort(),
            }
            await attempt.run(subjects[what]())

    assert await sweep(play, mode) == 0


@modes
async def test_a_cancelled_block_aborts_its_socket(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            sockets = []

            async def block() -> None:
                async with connect(server.address) as socket:
                    sockets.append(socket)
                    await socket.opened
                    await socket.writable.write(b"hello")
                    assert await socket.readable.read() == b"world"

            async def serve() -> None:
                with contextlib.suppress(ConnectionError):
                    async with await asyncio.wait_for(server.accept(), 5) as peer:
                        await peer.receive()
                        await peer.send(b"world")
                        await peer.receive()

            serving = asyncio.create_task(serve())
            await attempt.run(block())
            if attempt.was_cancelled:
                serving.cancel()
                with pytest.raises(ClosedError):
                    await sockets[0].closed
            else:
                await sockets[0].closed
            await asyncio.wait([serving])

    assert await sweep(play, mode) >= 2


# -- start_tls() -------------------------------------------------------------------------------------


@modes
async def test_cancelling_who_waits_for_an_upgrade_leaves_it_alone(
    mode: str, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K9."""

    async def play(attempt: Attempt) -> None:
        async with plain(secure_transport="starttls", tls=client_tls, high_water_mark=1 << 30) as (old, raw):
            await old.writable.write(BIG)
            new = old.start_tls()
            peer = TlsPeer(raw, server_ssl_context)

            async def answer() -> None:
                assert await raw.receive_exactly(len(BIG)) == BIG
                await peer.handshake()

            await attempt.run(wait_for(new.opened), answer())
            await asyncio.gather(new.opened, old.closed)
            await new.writable.write(b"secret")
            assert await peer.receive() == b"secret"
            new.abort()
            await ended(new)

    assert await sweep(play, mode) >= 1


@pytest.mark.parametrize("end", ["abort", "close"])
async def test_an_upgrade_can_be_given_up_in_every_turn(end: str, client_tls: TlsOptions) -> None:
    """K8, K13: also while nobody holds the connection, between the old socket and the new one's handshake."""
    for size in (0, len(BIG)):
        for turns in range(12):
            async with plain(secure_transport="starttls", tls=client_tls, high_water_mark=1 << 30) as (old, raw):
                await old.writable.write(BIG[:size])
                new = old.start_tls()
                for _ in range(turns):
                    await asyncio.sleep(0)
                getattr(new, end)()
                await ended(new)
                assert (await raw.receive_until_end())[1] == "reset"
                await old.closed


@pytest.mark.parametrize("end", ["abort", "close"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
async def test_a_connect_can_be_given_up_in_every_turn(end: str, is_secure: bool, tls_on: dict[str, Any]) -> None:
    """K8, K13."""
    for turns in range(12):
        with RawServer() as server:
            socket = connect(server.address, **(tls_on if is_secure else {}))
            for _ in range(turns):
                await asyncio.sleep(0)
            getattr(socket, end)()
            await ended(socket)
            assert socket.opened.done()
            assert socket._channel._connection is None


# -- the dialer --------------------------------------------------------------------------------------


async def keep_nothing(attempt: Attempt, subject: Coroutine[Any, Any, Connection], meanwhile: Any = None) -> None:
    """Run a dial; close what it gives."""
    connection = await attempt.run(subject, meanwhile)
    if connection is not None:
        connection.stream.close()


@modes
async def test_a_cancelled_dial_leaves_nothing(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        gate = asyncio.Event()
        resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=gate)
        with RawServer() as server:
            port = server.address.rpartition(":")[2]
            request = DialRequest(SocketAddress.parse(f"slow.example:{port}"), timeout_s=10)

            async def open_the_gate() -> None:
                gate.set()

            await keep_nothing(attempt, DirectDialer(resolver=resolver).dial(request), open_the_gate())

    assert await sweep(play, mode) >= 1


@modes
async def test_a_cancelled_race_leaves_nothing(mode: str) -> None:
    """K14: refused, silent and good addresses in one race."""
    with silent_port("127.0.0.1") as port, RawListener(port) as _:
        resolver = StaticResolver({"many.example": ["127.0.0.9", "127.0.0.1", "::1", "127.0.0.1", "127.0.0.7"]})
        dialer = DirectDialer(resolver=resolver, happy_eyeballs_delay_s=0.002)
        request = DialRequest(SocketAddress.parse(f"many.example:{port}"), timeout_s=10)

        async def play(attempt: Attempt) -> None:
            await keep_nothing(attempt, dialer.dial(request))

        assert await sweep(play, mode) >= 3


class RawListener(RawServer):
    """A server on a given port, at an address from which nobody connects: there the port is free."""

    def __init__(self, port: int) -> None:
        self.sock = sockets.socket()
        self.sock.bind(("127.0.0.7", port))
        self.sock.listen(100)
        self.address = f"127.0.0.7:{port}"


@modes
@pytest.mark.parametrize("how", ["dial", "start_tls"])
async def test_a_cancelled_handshake_resets_the_connection(
    how: str, mode: str, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    tls = TlsRequest("127.0.0.1", options=client_tls, timeout_s=10)

    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            dialer, address = DirectDialer(), SocketAddress.parse(server.address)
            if how == "dial":
                subject = dialer.dial(DialRequest(address, tls=tls))
            else:
                subject = dialer.start_tls(await dialer.dial(DialRequest(address)), tls)
            answering = asyncio.create_task(answer(server))
            await keep_nothing(attempt, subject)
            await answering
            assert answering.result() == ("reset" if attempt.was_cancelled else "eof")

    async def answer(server: RawServer) -> str:
        async with TlsPeer(await server.accept(), server_ssl_context) as peer:
            try:
                await peer.handshake()
            except ConnectionResetError:
                return "reset"
            except ssl.SSLEOFError:
                return "eof"
            return (await peer.raw.receive_until_end())[1]

    assert await sweep(play, mode) >= 1


async def wait_for(promise: Any) -> Any:
    """Return the value of a promise; a promise is no coroutine."""
    return await promise
