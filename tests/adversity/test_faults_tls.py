"""``connect()`` with TLS through a proxy that breaks the ciphertext at any byte, in any way, in either direction.

What must hold, whatever happens: what is received is exactly the plaintext of the records that arrived whole;
end-of-file is reported only when the peer's close_notify arrived (rule K5), truncation is ``TlsError(truncated)``;
``opened`` and ``closed`` settle (K6); nothing is leaked (the test loop looks).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore import ClosedError, ConnectTimeout, ResetError, SocketError, TlsError, connect
from longshore.testing import Cut, Fault, FaultProxy, HalfClose, Reset, Stall, Truncate
from tests.adversity.plans import (
    LIMIT_S,
    End,
    Plan,
    ReadStyle,
    first_ending,
    pieces_of,
    plans,
    read_styles,
    read_to_end,
    resuming,
    settled,
)
from tests.testing.raw import RawServer
from tests.testing.tls_peer import NAME, TRUST, TlsPeer, TlsVersion, server_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from longshore import Socket

EXAMPLES = 40
HANDSHAKE_BYTES = 3000  # more than either side's flights take together
BLOCK = bytes(65536)
CONTEXTS: dict[TlsVersion, ssl.SSLContext] = {"TLSv1.2": server_context("TLSv1.2"), "TLSv1.3": server_context()}

versions: st.SearchStrategy[TlsVersion] = st.sampled_from(["TLSv1.2", "TLSv1.3"])


@dataclass
class Connection:
    """A client, the server behind the proxy, and what became of it."""

    socket: Socket
    proxy: FaultProxy
    serving: asyncio.Task[None]
    peer: TlsPeer
    server_received: bytearray = field(default_factory=bytearray)
    server_saw: str = "nothing"

    async def end(self) -> None:
        """Let both sides and the proxy come to their end."""
        await settled(self.socket.closed)
        assert self.socket.opened.done(), "opened did not settle"
        await self.serving
        await self.proxy.wait_idle()


@asynccontextmanager
async def broken_connection(
    version: TlsVersion,
    serve: Callable[[TlsPeer], Awaitable[None]],
    *,
    to_server: Sequence[Fault] = (),
    to_client: Sequence[Fault] = (),
    allow_half_open: bool = False,
) -> AsyncIterator[Connection]:
    """Connect through a proxy to a server that makes the handshake and then ``serve``s."""

    async def run(peer: TlsPeer) -> None:
        try:
            await peer.handshake()
            await serve(peer)
        except (OSError, ssl.SSLError):
            pass  # the fault came first
        finally:
            peer.close()

    with RawServer() as server:
        async with (
            asyncio.timeout(LIMIT_S),
            FaultProxy(server.address, to_server=to_server, to_client=to_client) as proxy,
            resuming(proxy),
        ):
            socket = connect(proxy.address, secure_transport="on", sni=NAME, tls=TRUST, allow_half_open=allow_half_open)
            peer = TlsPeer(await server.accept(), CONTEXTS[version])
            connection = Connection(socket, proxy, asyncio.create_task(run(peer)), peer)
            try:
                yield connection
            finally:
                socket.abort("the test is over")
                await connection.end()


def sending(plan: Plan) -> Callable[[TlsPeer], Awaitable[None]]:
    """Return a server that sends the payload, ends its direction, and waits for the client's end."""

    async def serve(peer: TlsPeer) -> None:
        for piece in pieces_of(plan):
            await peer.send(piece)
        await peer.send_eof()
        await peer.receive_until_end()

    return serve


async def write_all(socket: Socket, plan: Plan) -> SocketError | None:
    try:
        for piece in pieces_of(plan):
            await socket.writable.write(piece)
        await socket.writable.close()
    except SocketError as exc:
        return exc
    return None


def is_truncation(error: object) -> bool:
    return isinstance(error, TlsError) and error.truncated


def assert_end_is_true(connection: Connection, received: bytes, payload: bytes, end: End) -> None:
    """Compare what a client that read to the end has seen with what passed the proxy."""
    peer, proxy = connection.peer, connection.proxy
    arrived = peer.plaintext_bytes_in(proxy.bytes_to_client)
    assert received == payload[:arrived], "not exactly the plaintext of the records that arrived"
    is_ended = peer.has_ended and proxy.bytes_to_client == peer.ciphertext_bytes
    if end is None:
        assert is_ended, "end-of-file without close_notify"
    elif isinstance(end, TlsError):
        assert end.truncated
        assert not is_ended
    else:
        assert isinstance(end, ResetError)


@settings(max_examples=EXAMPLES)
@given(
    version=versions,
    plan=plans(slack_bytes=HANDSHAKE_BYTES),
    style=read_styles,
    size=st.integers(1, 100_000),
    allow_half_open=st.booleans(),
)
async def test_a_reader_sees_exactly_what_came_and_how_it_ended(
    version: TlsVersion, plan: Plan, style: ReadStyle, size: int, allow_half_open: bool
) -> None:
    async with broken_connection(
        version, sending(plan), to_client=plan.script, allow_half_open=allow_half_open
    ) as connection:
        socket = connection.socket
        received, end = await read_to_end(socket, style, max(size, plan.payload_bytes // 500))
        if end is None and allow_half_open:
            await socket.writable.close()
        closed = await settled(socket.closed)
        assert type(closed) is type(end)
        opened = await settled(socket.opened)
        assert opened is None or type(opened) is type(end)
        await connection.end()
        assert_end_is_true(connection, received, plan.payload, end)
        if isinstance(first_ending(plan.script), (Cut, Truncate, HalfClose)):
            assert end is None or is_truncation(end)


@settings(max_examples=EXAMPLES)
@given(version=versions, plan=plans(slack_bytes=HANDSHAKE_BYTES), style=read_styles, allow_half_open=st.booleans())
async def test_a_server_receives_an_exact_prefix_of_what_is_written(
    version: TlsVersion, plan: Plan, style: ReadStyle, allow_half_open: bool
) -> None:
    received = bytearray()
    saw: list[str] = []

    async def serve(peer: TlsPeer) -> None:
        data, end = await peer.receive_until_end()
        received.extend(data)
        saw.append(end)
        if end == "eof":
            await peer.send(b"got it")
            await peer.send_eof()

    async with broken_connection(version, serve, to_server=plan.script, allow_half_open=allow_half_open) as connection:
        socket = connection.socket
        write_error = await write_all(socket, plan)
        answer, end = await read_to_end(socket, style)
        await settled(socket.closed)
        await connection.end()
        assert plan.payload.startswith(received)
        if saw == ["eof"]:
            assert bytes(received) == plan.payload, "close_notify arrived, but not all that was written before it"
        if end is None:
            assert answer == b"got it"
            assert saw == ["eof"]
        else:
            assert answer == b""
            assert isinstance(end, (ResetError, TlsError))
        if first_ending(plan.script) is None:
            assert (write_error, end) == (None, None)


@settings(max_examples=EXAMPLES)
@given(
    version=versions,
    there=plans(slack_bytes=HANDSHAKE_BYTES),
    back=plans(slack_bytes=HANDSHAKE_BYTES),
    style=read_styles,
)
async def test_both_directions_break_independently(
    version: TlsVersion, there: Plan, back: Plan, style: ReadStyle
) -> None:
    seen = bytearray()

    async def serve(peer: TlsPeer) -> None:
        async def send() -> None:
            try:
                for piece in pieces_of(back):
                    await peer.send(piece)
                await peer.send_eof()
            except (OSError, ssl.SSLError):
                pass  # the fault came first

        async def receive() -> None:
            data, _ = await peer.receive_until_end()
            seen.extend(data)

        await asyncio.gather(send(), receive())

    async with broken_connection(
        version, serve, to_server=there.script, to_client=back.script, allow_half_open=True
    ) as connection:
        socket = connection.socket
        writing = asyncio.create_task(write_all(socket, there))
        received, end = await read_to_end(socket, style)
        await writing
        await settled(socket.closed)
        await connection.end()
        assert there.payload.startswith(seen)
        assert back.payload.startswith(received)
        if end is None:
            assert received == back.payload
            assert connection.peer.has_ended
        else:
            assert isinstance(end, (ResetError, TlsError))


@settings(max_examples=EXAMPLES)
@given(
    version=versions,
    at_bytes=st.integers(0, HANDSHAKE_BYTES),
    make=st.sampled_from([Cut, Reset, Truncate, HalfClose]),
    direction=st.sampled_from(["to_server", "to_client"]),
    early_write=st.booleans(),
)
async def test_a_handshake_cut_anywhere_fails_everything_in_the_same_way(
    version: TlsVersion, at_bytes: int, make: Callable[[int], Fault], direction: str, early_write: bool
) -> None:
    async def serve(peer: TlsPeer) -> None:
        await peer.send(b"welcome")
        await peer.receive_until_end()

    script = {direction: [make(at_bytes)]}
    async with broken_connection(version, serve, **script) as connection:  # type: ignore[arg-type]  # one of two keywords
        socket = connection.socket
        if early_write:
            await socket.writable.write(b"early")
        opened = await settled(socket.opened)
        if opened is None:
            socket.close()
            await settled(socket.closed)
            return
        assert isinstance(opened, ResetError if make is Reset else (TlsError, ResetError))
        if isinstance(opened, TlsError):
            assert opened.truncated
            assert opened.during == "tls"
        received, end = await read_to_end(socket, "read")
        assert received == b""
        assert type(end) is type(opened)
        assert type(await settled(socket.closed)) is type(opened)
        with pytest.raises(type(opened)):
            await socket.writable.write(b"late")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("at_bytes", [0, 100])
async def test_a_stalled_handshake_is_bounded(version: TlsVersion, direction: str, at_bytes: int) -> None:
    with RawServer() as server:
        async with FaultProxy(server.address, **{direction: [Stall(at_bytes)]}) as proxy:
            socket = connect(proxy.address, secure_transport="on", sni=NAME, tls=TRUST, connect_timeout_s=0.05)
            async with TlsPeer(await server.accept(), CONTEXTS[version]) as peer:
                serving = asyncio.create_task(peer.handshake())
                error = await settled(socket.opened)
                assert isinstance(error, ConnectTimeout)
                assert error.during == "tls"
                assert isinstance(await settled(socket.closed), ConnectTimeout)
                _, end = await read_to_end(socket, "read")
                assert isinstance(end, ConnectTimeout)
                await proxy.close()
                await asyncio.wait([serving])
                assert serving.exception() is not None


@pytest.mark.parametrize("ending", ["close", "abort"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_a_stalled_reader_can_be_ended(version: TlsVersion, ending: str) -> None:
    async def serve(peer: TlsPeer) -> None:
        await peer.send(BLOCK)
        await peer.receive_until_end()

    with RawServer() as server:
        async with FaultProxy(server.address, to_client=[Stall(10_000)]) as proxy:
            socket = connect(proxy.address, secure_transport="on", sni=NAME, tls=TRUST)
            async with TlsPeer(await server.accept(), CONTEXTS[version]) as peer:
                await asyncio.gather(peer.handshake(), settled(socket.opened))
                serving = asyncio.create_task(serve(peer))
                await proxy.wait_stalled()
                reading = asyncio.create_task(socket.readable.read())
                for _ in range(10):
                    await asyncio.sleep(0)
                assert not reading.done(), "no record has arrived whole"
                if ending == "close":
                    assert await settled(socket.close()) is None
                else:
                    socket.abort()
                    assert isinstance(await settled(socket.closed), ClosedError)
                with pytest.raises(ClosedError):
                    await reading
                await proxy.close()
                await asyncio.wait([serving])


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("fault", [Cut(5000), Reset(5000), Truncate(5000), HalfClose(5000)], ids=repr)
async def test_a_failure_is_noticed_although_nobody_reads_or_writes(version: TlsVersion, fault: Fault) -> None:
    """K7, K5: an idle socket hears of a truncation and of a RST, and ``closed`` says so."""

    async def serve(peer: TlsPeer) -> None:
        await peer.send(bytes(4000))  # reaches over the offset together with the handshake
        await peer.receive_until_end()

    async with broken_connection(version, serve, to_client=[fault]) as connection:
        error = await settled(connection.socket.closed)
        assert isinstance(error, ResetError) if isinstance(fault, Reset) else is_truncation(error)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("fault", [Cut(5000), Reset(5000), HalfClose(5000)], ids=repr)
async def test_writes_into_a_dead_connection_raise(version: TlsVersion, fault: Fault) -> None:
    async def serve(peer: TlsPeer) -> None:
        await peer.send(bytes(4000))
        await peer.receive_until_end()

    async with broken_connection(version, serve, to_client=[fault]) as connection:
        writable = connection.socket.writable
        with pytest.raises(SocketError):  # noqa: PT012 - which of the writes meets the end is the kernel's business
            while True:
                await writable.write(BLOCK)
        with pytest.raises(SocketError):
            await writable.write(b"x")
