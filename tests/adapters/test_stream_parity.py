"""Whatever is sent, and however it is cut: our reader gives what ``asyncio.StreamReader`` gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from longshore import connect
from longshore.testing import MemoryDialer, StreamDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 16
Step: TypeAlias = "tuple[str, int | bytes]"

chunks = st.lists(st.text("ab\n;", min_size=1, max_size=12).map(str.encode), max_size=8)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("readline"), st.just(0)),
        st.tuples(st.just("readexactly"), st.integers(0, 20)),
        st.tuples(st.just("readuntil"), st.sampled_from([b"\n", b";", b"a;", b"ab\n"])),
    ),
    max_size=12,
)


@given(chunks=chunks, steps=steps)
async def test_it_reads_as_asyncio_does(chunks: list[bytes], steps: list[Step]) -> None:
    """Without a limit in the way: what a limit does depends on how the bytes are cut, in asyncio too."""
    theirs = asyncio.StreamReader(loop=asyncio.get_running_loop())
    theirs.feed_data(b"".join(chunks))
    theirs.feed_eof()
    dialer = MemoryDialer(capacity_bytes=5)
    socket = connect("peer.example:1", dialer=dialer)
    ours, writer = socket.as_asyncio_streams()
    peer = StreamDriver(await dialer.accept())
    sending = asyncio.ensure_future(send(peer, chunks))
    for step in steps:
        assert await outcome(ours, step) == await outcome(theirs, step)
        assert theirs.at_eof() or not ours.at_eof()
    assert await ours.read() == await theirs.read()
    assert ours.at_eof()
    await sending
    await writer.wait_closed()
    peer.stream.close()


@given(chunks=chunks)
async def test_a_limit_bounds_the_line_and_loses_nothing_else(chunks: list[bytes]) -> None:
    dialer = MemoryDialer(capacity_bytes=5)
    socket = connect("peer.example:1", dialer=dialer)
    ours, writer = socket.as_asyncio_streams(limit_bytes=LIMIT)
    peer = StreamDriver(await dialer.accept())
    sending = asyncio.ensure_future(send(peer, chunks))
    got = bytearray()
    while not ours.at_eof():
        try:
            line = await ours.readuntil(b"\n")
            assert len(line) <= LIMIT + 1
        except asyncio.LimitOverrunError as exc:
            line = await ours.readexactly(exc.consumed)
            assert b"\n" not in line
        except asyncio.IncompleteReadError as exc:
            line = exc.partial
        got += line
    assert got == b"".join(chunks)
    await sending
    await writer.wait_closed()
    peer.stream.close()


async def send(peer: StreamDriver, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        await peer.send(chunk)
        await asyncio.sleep(0)
    await peer.send_eof()


async def outcome(reader: asyncio.StreamReader, step: Step) -> object:
    """Return what a step gives: a value, or the error as a value."""
    name, argument = step
    try:
        if name == "readline":
            return await reader.readline()
        if name == "readexactly":
            assert isinstance(argument, int)
            return await reader.readexactly(argument)
        assert isinstance(argument, bytes)
        return await reader.readuntil(argument)
    except asyncio.IncompleteReadError as exc:
        return "incomplete", exc.partial, exc.expected
