"""The TLS pump against hostile records.

What must hold whatever a peer sends: only ``SocketError`` is raised, memory stays bounded, end-of-file is reported
after close_notify and never without it (rule K5), and nothing is left open (the fixture of async tests looks).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore import ClosedError, ConnectTimeout, LimitExceeded, Socket, SocketError, TlsError, TlsOptions, connect
from longshore.net.tls import BATCH_BYTES, MAX_ANSWERS_BYTES, TlsStream
from tests.certificates import server_context
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.certificates import CertificateFiles

few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
versions = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])

TEXT = bytes(range(256)) * 200
EOF = "end-of-file"


class World:
    """What both sides need, made once."""

    def __init__(self, files: CertificateFiles, options: TlsOptions) -> None:
        self._files = files
        self._contexts: dict[tuple[str, int], ssl.SSLContext] = {}
        self.options = options

    def server(self, version: str = "TLSv1.3", tickets: int = 2) -> ssl.SSLContext:
        """Return the context of a server that speaks this version only."""
        key = (version, tickets)
        if key not in self._contexts:
            context = server_context(self._files)
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
            context.num_tickets = tickets
            self._contexts[key] = context
        return self._contexts[key]

    @asynccontextmanager
    async def begun(
        self, *, receive_buffer_bytes: int | None = None, **options: Any
    ) -> AsyncIterator[tuple[Socket, RawPeer]]:
        """Give a socket in its handshake, and its raw peer."""
        with RawServer(receive_buffer_bytes=receive_buffer_bytes) as server:
            socket = connect(server.address, secure_transport="on", tls=self.options, **options)
            async with await server.accept() as peer:
                try:
                    yield socket, peer
                finally:
                    socket.abort()
            await end_of(socket)

    @asynccontextmanager
    async def open(
        self, version: str = "TLSv1.3", *, tickets: int = 2, **options: Any
    ) -> AsyncIterator[tuple[Socket, TlsPeer]]:
        """Give a socket after its handshake, and its peer."""
        async with self.begun(**options) as (socket, raw):
            peer = TlsPeer(raw, self.server(version, tickets))
            await asyncio.gather(peer.handshake(), socket.opened)
            yield socket, peer


@pytest.fixture(scope="module")
def world(server_cert_files: CertificateFiles, client_tls: TlsOptions) -> World:
    """What both sides need."""
    return World(server_cert_files, client_tls)


async def end_of(socket: Socket) -> str:
    """Return how ``closed`` settles."""
    try:
        await socket.closed
    except SocketError as exc:
        return type(exc).__name__
    return EOF


async def read_out(socket: Socket) -> tuple[bytes, SocketError | None]:
    """Read to the end; return the bytes, and the error unless it was end-of-file."""
    received = bytearray()
    try:
        async for chunk in socket.readable:
            received += chunk
    except SocketError as exc:
        return bytes(received), exc
    return bytes(received), None


async def must_fail(socket: Socket) -> SocketError:
    """Everything about the socket raises one and the same failure."""
    with pytest.raises(SocketError) as caught:
        await socket.opened
    error = caught.value
    for awaitable in (socket.closed, socket.readable.read(), socket.writable.write(b"x")):
        with pytest.raises(type(error)):
            await awaitable
    return error


def pump(socket: Socket) -> TlsStream:
    """Return the pump, to look at its memory."""
    stream = socket._channel.stream
    assert isinstance(stream, TlsStream)
    return stream


# -- handshake ---------------------------------------------------------------------------------------


@few
@given(answer=st.binary(max_size=1500))
async def test_rubbish_instead_of_a_server_hello_fails_the_connect(world: World, answer: bytes) -> None:
    """K5."""
    async with world.begun() as (socket, peer):
        await peer.receive()
        await send_and_end(peer, answer)
        assert isinstance(await must_fail(socket), SocketError)


@few
@given(kind=st.sampled_from([20, 21, 22, 23, 24, 99]), version=st.binary(min_size=2, max_size=2), data=st.binary())
async def test_well_framed_rubbish_fails_the_connect(world: World, kind: int, version: bytes, data: bytes) -> None:
    async with world.begun() as (socket, peer):
        await peer.receive()
        await send_and_end(peer, bytes([kind]) + version + len(data).to_bytes(2, "big") + data)
        await must_fail(socket)


@few
@given(level=st.sampled_from([1, 2]), description=st.integers(0, 255))
async def test_an_alert_in_the_handshake_fails_the_connect(world: World, level: int, description: int) -> None:
    """Also close_notify: an end before the handshake is done is none."""
    async with world.begun() as (socket, peer):
        await peer.receive()
        await send_and_end(peer, bytes([21, 3, 3, 0, 2, level, description]))
        error = await must_fail(socket)
        if (level, description) == (2, 40):
            assert isinstance(error, TlsError)
            assert error.alert == "handshake_failure"


@versions
@few
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
async def test_a_damaged_handshake_never_passes_for_a_good_one(
    world: World, version: str, where: float, bit: int
) -> None:
    async with world.begun() as (socket, raw):
        peer = TlsPeer(raw, world.server(version))
        peer.engine.feed(await raw.receive())
        assert not peer.engine.try_handshake()
        flight = bytearray(peer.engine.take())
        flight[int(where * len(flight))] ^= 1 << bit
        await send_and_end(raw, bytes(flight))
        try:
            await socket.opened
        except SocketError:
            await must_fail(socket)
        else:  # a bit that means nothing: the version in a record's head
            assert isinstance((await read_out(socket))[1], SocketError)


@versions
@few
@given(cut=st.floats(0, 1, exclude_max=True))
async def test_a_handshake_that_is_cut_short_fails(world: World, version: str, cut: float) -> None:
    async with world.begun() as (socket, raw):
        peer = TlsPeer(raw, world.server(version))
        peer.engine.feed(await raw.receive())
        peer.engine.try_handshake()
        flight = peer.engine.take()
        await send_and_end(raw, flight[: int(cut * len(flight))])
        error = await must_fail(socket)
        assert isinstance(error, TlsError)
        assert error.truncated


@versions
@few
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5))
async def test_a_handshake_in_pieces_of_any_size_succeeds(world: World, version: str, sizes: list[int]) -> None:
    async with world.begun() as (socket, raw):
        peer = TlsPeer(raw, world.server(version))
        while not peer.engine.try_handshake():
            await send_in_pieces(raw, peer.engine.take(), sizes)
            peer.engine.feed(await raw.receive())
        await send_in_pieces(raw, peer.engine.take() + peer.engine.records(b"hello"), sizes)
        assert await socket.readable.read() == b"hello"


async def test_an_endless_handshake_is_bounded(world: World) -> None:
    """A certificate message that never ends is refused by its length; one that trickles, by the time limit."""
    async with world.begun(connect_timeout_s=0.2) as (socket, peer):
        await peer.receive()
        await peer.send(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff" + bytes(0x4000 - 4))
        assert isinstance(await must_fail(socket), (TlsError, ConnectTimeout))


# -- data --------------------------------------------------------------------------------------------


@versions
@few
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
async def test_a_damaged_record_is_an_error_and_what_came_before_is_good(
    world: World, version: str, where: float, bit: int
) -> None:
    """K5."""
    async with world.open(version) as (socket, peer):
        stream = bytearray(peer.engine.records(TEXT) + peer.engine.close_notify())
        stream[int(where * len(stream))] ^= 1 << bit
        reading = asyncio.create_task(read_out(socket))
        await send_and_end(peer.raw, bytes(stream))
        received, error = await reading
        assert TEXT.startswith(received)
        if error is None:
            assert received == TEXT  # a bit that means nothing
        else:
            assert await end_of(socket) == type(error).__name__


@versions
@few
@given(cut=st.floats(0, 1, exclude_max=True))
async def test_a_stream_that_is_cut_short_never_ends_in_end_of_file(world: World, version: str, cut: float) -> None:
    """K5: at every offset up to the last byte of close_notify."""
    async with world.open(version) as (socket, peer):
        stream = peer.engine.records(TEXT) + peer.engine.close_notify()
        reading = asyncio.create_task(read_out(socket))
        await send_and_end(peer.raw, stream[: int(cut * len(stream))])
        received, error = await reading
        assert TEXT.startswith(received)
        assert isinstance(error, TlsError)
        assert error.truncated
        assert await end_of(socket) == "TlsError"


@pytest.mark.one_loop("asyncio")
@versions
async def test_the_last_bytes_matter_one_by_one(world: World, version: str) -> None:
    """K5."""
    missing = 0
    while True:
        async with world.open(version) as (socket, peer):
            last = peer.engine.records(b"all") + peer.engine.close_notify()
            await send_and_end(peer.raw, last[: len(last) - missing])
            received, error = await read_out(socket)
            assert (error is None) == (missing == 0)
            assert received in (b"all", b"")
        if missing == len(last):
            return
        missing += 1


@versions
@few
@given(sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=6), how=st.sampled_from(["read", "read_into"]))
async def test_records_in_pieces_of_any_size_arrive_whole(
    world: World, version: str, sizes: list[int], how: str
) -> None:
    async with world.open(version) as (socket, peer):
        reading = asyncio.create_task(read_out(socket) if how == "read" else read_into_out(socket))
        pieces = sizes if min(sizes) > 100 else [*sizes, 5000]
        await send_in_pieces(peer.raw, peer.engine.records(TEXT) + peer.engine.close_notify(), pieces)
        await peer.raw.send_eof()
        assert await reading == (TEXT, None)
        assert await end_of(socket) == EOF


async def read_into_out(socket: Socket) -> tuple[bytes, None]:
    received, buffer = bytearray(), bytearray(20_000)
    while count := await socket.readable.read_into(buffer):
        received += buffer[:count]
    return bytes(received), None


@pytest.mark.one_loop("asyncio")
@versions
async def test_a_record_may_be_split_at_every_offset(world: World, version: str) -> None:
    async with world.open(version) as (socket, peer):
        offset = size = 1
        while offset <= size:
            record = peer.engine.records(b"hello")
            size = len(record)
            reading = asyncio.create_task(socket.readable.read())
            await send_in_pieces(peer.raw, record, [offset, size])
            assert await reading == b"hello"
            offset += 1


@versions
async def test_many_tiny_records_arrive(world: World, version: str) -> None:
    async with world.open(version) as (socket, peer):
        tiny = b"".join(peer.engine.records(bytes([n & 255])) for n in range(4000))
        reading = asyncio.create_task(read_out(socket))
        await peer.raw.send(tiny)
        await peer.send_eof()
        received, error = await reading
        assert received == bytes(n & 255 for n in range(4000))
        assert error is None


@versions
@pytest.mark.parametrize("length", [0x4901, 0xFFFF])
@pytest.mark.parametrize("when", ["handshake", "data"])
async def test_an_oversize_record_is_refused(world: World, version: str, length: int, when: str) -> None:
    head = b"\x17\x03\x03" + length.to_bytes(2, "big")
    async with world.begun() as (socket, raw):
        peer = TlsPeer(raw, world.server(version))
        if when == "data":
            await asyncio.gather(peer.handshake(), socket.opened)
        else:
            await raw.receive()
        await raw.send(head + bytes(1000))
        received, error = await read_out(socket)
        assert received == b""
        assert isinstance(error, TlsError)


@few
@given(level=st.sampled_from([1, 2]), description=st.integers(0, 255))
@versions
async def test_an_injected_alert_never_ends_the_stream_cleanly(
    world: World, version: str, level: int, description: int
) -> None:
    """K5: somebody between the two ends can make the connection fail, but not look complete."""
    async with world.open(version) as (socket, peer):
        await peer.send(b"part")
        reading = asyncio.create_task(read_out(socket))
        await send_and_end(peer.raw, bytes([21, 3, 3, 0, 2, level, description]))
        received, error = await reading
        assert received == b"part"
        assert isinstance(error, TlsError)


@pytest.mark.parametrize("description", [10, 40, 80, 90])
async def test_a_real_fatal_alert_is_named(world: World, description: int) -> None:
    """The peer's own alert, encrypted: here the one it answers to our damaged record."""
    async with world.open(allow_half_open=True) as (socket, peer):
        peer.engine.feed(b"\x17\x03\x03\x00\x20" + bytes([description]) * 32)
        with pytest.raises(ssl.SSLError):
            peer.engine.ssl.read(100)
        await peer.raw.send(peer.engine.take())
        _, error = await read_out(socket)
        assert isinstance(error, TlsError)
        assert error.alert == "bad_record_mac"


# -- what TLS does on its own account ----------------------------------------------------------------


@versions
@pytest.mark.parametrize("tickets", [0, 1, 30])
async def test_session_tickets_are_taken_unnoticed(world: World, version: str, tickets: int) -> None:
    async with world.open(version, tickets=tickets) as (socket, peer):
        await peer.send(b"hello")
        assert await socket.readable.read() == b"hello"
        await socket.writable.write(b"world")
        assert await peer.receive() == b"world"
        await peer.send_eof()
        assert await socket.readable.read() == b""


@few
@given(script=st.lists(st.sampled_from(["update", "send", "receive"]), max_size=20))
async def test_key_updates_are_answered_between_any_messages(world: World, script: list[str]) -> None:
    async with world.open(allow_half_open=True) as (socket, peer):
        for step in script:
            if step == "update":
                await peer.raw.send(peer.engine.key_update())
            elif step == "send":
                await peer.send(b"to the client")
                assert await socket.readable.read() == b"to the client"
            else:
                await socket.writable.write(b"to the server")
                assert await peer.receive() == b"to the server"
        await peer.send_eof()
        assert await socket.readable.read() == b""
        socket.close()
        assert await peer.receive_until_end() == (b"", "eof")


async def test_key_updates_inside_and_behind_a_half_close_are_taken(world: World) -> None:
    """K10."""
    async with world.open() as (socket, peer):
        await socket.writable.close()
        assert await peer.receive() == b""
        await peer.raw.send(peer.engine.key_update())
        await peer.send(b"the rest")
        await peer.send_eof()
        assert await read_out(socket) == (b"the rest", None)
        assert await end_of(socket) == EOF


@pytest.mark.one_loop("asyncio")
async def test_a_flood_of_key_updates_costs_bounded_memory(world: World) -> None:
    async with world.open(receive_buffer_bytes=4096) as (socket, peer):
        stream = pump(socket)
        stream._inner._sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)  # type: ignore[attr-defined]  # an FdStream
        reading = asyncio.create_task(read_out(socket))
        largest = 0
        with contextlib.suppress(ConnectionError):
            while True:
                updates = b"".join(peer.engine.key_update() for _ in range(500))
                await peer.raw.send(updates)
                largest = max(largest, stream._outgoing.pending)
        _, error = await reading
        assert isinstance(error, LimitExceeded)
        assert error.value == MAX_ANSWERS_BYTES
        assert largest <= MAX_ANSWERS_BYTES + BATCH_BYTES


async def test_a_renegotiation_is_refused_without_harm(world: World) -> None:
    """RFC 5246 §7.2.2: the answer is the warning no_renegotiation, and the data go on."""
    async with world.open("TLSv1.2", allow_half_open=True) as (socket, peer):
        await peer.raw.send(peer.engine.hello_request())
        await peer.send(b"and on")
        assert await socket.readable.read() == b"and on"
        # OpenSSL as a server does not go on when it is refused; what it says then is an error, never an end.
        with pytest.raises(ssl.SSLError, match="NO_RENEGOTIATION"):
            await peer.receive()
        received, error = await read_out(socket)
        assert received == b""
        assert isinstance(error, TlsError)


# -- the end -----------------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("first", ["client", "server", "both"])
async def test_close_notify_in_both_directions(world: World, version: str, first: str) -> None:
    """K10."""
    async with world.open(version, allow_half_open=True) as (socket, peer):
        if first != "server":
            await socket.writable.write(b"last words of the client")
            await socket.writable.close()
        if first == "client":
            assert await peer.receive() == b"last words of the client"
            assert await peer.receive() == b""
        await peer.send(b"last words of the server")
        await peer.send_eof()
        assert await read_out(socket) == (b"last words of the server", None)
        if first == "server":
            assert not socket.closed.done()
            await socket.writable.write(b"last words of the client")
            await socket.writable.close()
        if first != "client":
            assert await peer.receive_until_end() == (b"last words of the client", "eof")
        assert await end_of(socket) == EOF


@versions
async def test_close_notify_is_an_end_even_if_tcp_goes_on(world: World, version: str) -> None:
    async with world.open(version) as (socket, peer):
        await peer.send(b"all")
        await peer.send_close_notify()
        await peer.raw.send(b"what is this?")
        assert await read_out(socket) == (b"all", None)
        assert await end_of(socket) == EOF


@versions
async def test_close_sends_close_notify(world: World, version: str) -> None:
    async with world.open(version) as (socket, peer):
        await socket.writable.write(TEXT)
        socket.close()
        assert await peer.receive_until_end() == (TEXT, "eof")
        await socket.closed


# -- memory ------------------------------------------------------------------------------------------


@pytest.mark.one_loop("asyncio")
async def test_a_peer_that_floods_an_idle_socket_is_held_up(world: World) -> None:
    """K12."""
    async with world.open() as (socket, peer):
        flood = asyncio.create_task(peer.send(bytes(32 << 20)))
        for _ in range(300):
            await asyncio.sleep(0)
        assert not flood.done()
        stream = pump(socket)
        assert stream._incoming.pending + len(stream._plain) <= BATCH_BYTES
        received = 0
        while received < 32 << 20:
            received += len(await socket.readable.read())
        await flood


@pytest.mark.one_loop("asyncio")
async def test_a_writer_whose_peer_does_not_read_is_held_up(world: World) -> None:
    """K12."""
    async with world.open() as (socket, _):
        writing = asyncio.create_task(socket.writable.write(bytes(32 << 20)))
        for _ in range(300):
            await asyncio.sleep(0)
        assert not writing.done()
        stream = pump(socket)
        assert stream._outgoing.pending + len(stream._unsent) <= BATCH_BYTES + 64 * 1024
        socket.abort()
        with pytest.raises(ClosedError):
            await writing


async def test_a_huge_read_costs_what_arrives(world: World) -> None:
    async with world.open() as (socket, peer):
        await peer.send(b"hello")
        assert await socket.readable.read(1 << 50) == b"hello"


# -- sending -----------------------------------------------------------------------------------------


async def send_and_end(peer: RawPeer, data: bytes) -> None:
    """Send the bytes and a FIN, to a client that may be gone before it has all."""
    try:
        await peer.send(data)
        await peer.send_eof()
    except OSError:
        pass


async def send_in_pieces(peer: RawPeer, data: bytes, sizes: Sequence[int]) -> None:
    """Send the bytes in pieces of these sizes, taken in turn, with time in between to read each."""
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        await peer.send(data[position : position + size])
        position += size
        number += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
