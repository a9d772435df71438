"""``connect()`` through a proxy that breaks plain connections at any byte, in any way, in either direction.

What must hold, whatever happens: what is received is an exact prefix of what was sent; end-of-file is reported only
where a FIN really came (rule K5); ``opened`` and ``closed`` settle (K6); nothing is leaked (the test loop looks).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore import ClosedError, ResetError, SocketError, connect
from longshore.testing import Cut, Fault, FaultProxy, HalfClose, Reset, Stall, Truncate
from tests.adversity.plans import (
    LIMIT_S,
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
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from longshore import Socket

EXAMPLES = 60
BLOCK = bytes(65536)


@asynccontextmanager
async def broken_connection(
    *, to_server: Sequence[Fault] = (), to_client: Sequence[Fault] = (), allow_half_open: bool = False
) -> AsyncIterator[tuple[Socket, RawPeer, FaultProxy]]:
    """Connect through a proxy; afterwards both ends are gone and the proxy has nothing left."""
    with RawServer() as server:
        async with (
            asyncio.timeout(LIMIT_S),
            FaultProxy(server.address, to_server=to_server, to_client=to_client) as proxy,
            resuming(proxy),
        ):
            socket = connect(proxy.address, allow_half_open=allow_half_open)
            async with await server.accept() as peer:
                try:
                    yield socket, peer, proxy
                finally:
                    socket.abort("the test is over")
            await settled(socket.closed)
            assert socket.opened.done(), "opened did not settle"
            await proxy.wait_idle()


async def send_all(peer: RawPeer, plan: Plan) -> None:
    """Play a server that sends the payload and ends its direction."""
    try:
        for piece in pieces_of(plan):
            await peer.send(piece)
        await peer.send_eof()
    except OSError:
        pass  # the fault came first


async def write_all(socket: Socket, plan: Plan) -> SocketError | None:
    """Write the payload and end the direction; return what went wrong."""
    try:
        for piece in pieces_of(plan):
            await socket.writable.write(piece)
        await socket.writable.close()
    except SocketError as exc:
        return exc
    return None


def expected_prefix(plan: Plan) -> bytes:
    ending = first_ending(plan.script)
    return plan.payload if ending is None else plan.payload[: ending.at_bytes]


def is_reset(plan: Plan) -> bool:
    ending = first_ending(plan.script)
    return isinstance(ending, Reset) and ending.at_bytes <= len(plan.payload)


@settings(max_examples=EXAMPLES)
@given(plan=plans(), style=read_styles, size=st.integers(1, 100_000), allow_half_open=st.booleans())
async def test_a_reader_sees_exactly_what_came_and_how_it_ended(
    plan: Plan, style: ReadStyle, size: int, allow_half_open: bool
) -> None:
    async with broken_connection(to_client=plan.script, allow_half_open=allow_half_open) as (socket, peer, _):
        sending = asyncio.create_task(send_all(peer, plan))
        received, end = await read_to_end(socket, style, max(size, len(plan.payload) // 1000))
        assert received == expected_prefix(plan)
        if is_reset(plan):
            assert isinstance(end, ResetError)
            assert isinstance(await settled(socket.closed), ResetError)
        else:
            assert end is None
            if allow_half_open:
                await socket.writable.close()
            assert await settled(socket.closed) is None
        await sending


@settings(max_examples=EXAMPLES)
@given(plan=plans(), allow_half_open=st.booleans())
async def test_a_reader_who_comes_late_sees_the_same(plan: Plan, allow_half_open: bool) -> None:
    async with broken_connection(to_client=plan.script, allow_half_open=allow_half_open) as (socket, peer, proxy):
        sending = asyncio.create_task(send_all(peer, plan))
        await socket.opened
        while proxy.bytes_to_client < min(len(expected_prefix(plan)), 20):
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        received, end = await read_to_end(socket, "read")
        assert received == expected_prefix(plan), "bytes that had arrived before the end were lost"
        assert isinstance(end, ResetError) if is_reset(plan) else end is None
        await sending


@settings(max_examples=EXAMPLES)
@given(plan=plans(), allow_half_open=st.booleans())
async def test_a_server_receives_an_exact_prefix_of_what_is_written(plan: Plan, allow_half_open: bool) -> None:
    async with broken_connection(to_server=plan.script, allow_half_open=allow_half_open) as (socket, peer, _):
        writing = asyncio.create_task(write_all(socket, plan))
        received, server_saw = await peer.receive_until_end()
        assert received == expected_prefix(plan)
        assert server_saw == ("reset" if is_reset(plan) else "eof")
        peer.close()
        error = await writing
        _, end = await read_to_end(socket, "read")
        closed = await settled(socket.closed)
        if is_reset(plan):
            assert isinstance(end, ResetError)
            assert isinstance(closed, ResetError)
        ending = first_ending(plan.script)
        if ending is None or ending.at_bytes > len(plan.payload):
            assert (error, end, closed) == (None, None, None)


@settings(max_examples=EXAMPLES)
@given(there=plans(), back=plans(), style=read_styles)
async def test_both_directions_break_independently(there: Plan, back: Plan, style: ReadStyle) -> None:
    async with broken_connection(to_server=there.script, to_client=back.script, allow_half_open=True) as (
        socket,
        peer,
        _,
    ):
        tasks = [asyncio.create_task(write_all(socket, there)), asyncio.create_task(send_all(peer, back))]
        (received, end), (seen, _) = await asyncio.gather(read_to_end(socket, style), peer.receive_until_end())
        assert there.payload.startswith(seen)
        assert back.payload.startswith(received)
        is_whole = received == back.payload
        may_be_cut = any(isinstance(first_ending(plan.script), Cut) for plan in (there, back))
        ended_early = isinstance(first_ending(back.script), (Truncate, HalfClose))
        if end is None:
            assert is_whole or may_be_cut or ended_early
        else:
            assert isinstance(end, ResetError)
        await asyncio.wait(tasks)


@pytest.mark.parametrize("fault", [Cut(100), Reset(100)], ids=repr)
@pytest.mark.parametrize("allow_half_open", [True, False])
async def test_writes_into_a_dead_connection_raise(fault: Fault, allow_half_open: bool) -> None:
    async with broken_connection(to_client=[fault], allow_half_open=allow_half_open) as (socket, peer, _):
        await peer.send(bytes(100))
        with pytest.raises(SocketError):  # noqa: PT012 - which of the writes meets the end is the kernel's business
            while True:
                await socket.writable.write(BLOCK)
        with pytest.raises(SocketError):
            await socket.writable.write(b"x")


@pytest.mark.parametrize("allow_half_open", [True, False])
async def test_a_reset_is_noticed_although_nobody_reads_or_writes(allow_half_open: bool) -> None:
    """K7: an idle socket hears of a RST, unread bytes or not."""
    for at_bytes in (0, 1, 100):
        async with broken_connection(to_client=[Reset(at_bytes)], allow_half_open=allow_half_open) as (socket, peer, _):
            try:
                await peer.send(bytes(100))
            except OSError:
                pass  # reset before the first byte
            assert isinstance(await settled(socket.closed), ResetError)


async def test_a_fin_is_noticed_although_nobody_reads_or_writes() -> None:
    """K7: with nothing to be read, the peer's FIN ends an idle socket."""
    for fault in (Cut(0), Truncate(0), HalfClose(0)):
        async with broken_connection(to_client=[fault]) as (socket, _, _):
            assert await settled(socket.closed) is None


@pytest.mark.parametrize("ending", ["close", "abort"])
@pytest.mark.parametrize("at_bytes", [0, 1, 50, 100])
async def test_a_stalled_reader_can_be_ended(ending: str, at_bytes: int) -> None:
    with RawServer() as server:
        async with FaultProxy(server.address, to_client=[Stall(at_bytes)]) as proxy:
            socket = connect(proxy.address)
            async with await server.accept() as peer:
                await peer.send(bytes(100))
                reader = socket.readable.get_reader()
                for _ in range(at_bytes):
                    assert len(await reader.read(1)) == 1
                await proxy.wait_stalled()
                reading = asyncio.create_task(reader.read())
                await asyncio.sleep(0)
                assert not reading.done()
                if ending == "close":
                    assert await settled(socket.close()) is None
                else:
                    socket.abort()
                    assert isinstance(await settled(socket.closed), ClosedError)
                with pytest.raises(ClosedError):
                    await reading


@pytest.mark.parametrize("at_bytes", [0, 1, 100_000])
async def test_a_stalled_writer_waits_and_close_is_bounded(at_bytes: int) -> None:
    """K8: ``close()`` flushes no longer than ``timeout_s``, then resets."""
    with RawServer() as server:
        async with FaultProxy(server.address, to_server=[Stall(at_bytes)]) as proxy:
            socket = connect(proxy.address)

            writer = socket.writable.get_writer()

            async def write_for_ever() -> None:
                while True:
                    await writer.write(BLOCK)

            async with await server.accept() as peer:
                writing = asyncio.create_task(write_for_ever())
                await proxy.wait_stalled()
                while writer.desired_size > 0:
                    await asyncio.sleep(0)
                assert not writing.done()
                error = await settled(socket.close(timeout_s=0.01))
                assert isinstance(error, ClosedError)
                with pytest.raises(ClosedError):
                    await writing
                await proxy.close()
                received, server_saw = await peer.receive_until_end()
                assert received == bytes(at_bytes)
                assert server_saw == "reset"
