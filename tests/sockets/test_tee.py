"""``tee``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longshore import LimitExceeded, ReadableStream, ResetError, UsageError
from longshore.sockets._readable import split
from tests.loopback import linked, outcome

LEAD = 65536


async def read_all(stream: ReadableStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def test_both_branches_get_everything() -> None:
    """K15: 4 MiB to two readers at once, and the end to both."""
    data = bytes(range(256)) * (1 << 14)
    async with linked() as (socket, peer):
        branches = socket.readable.tee()
        reading = [asyncio.create_task(read_all(branch)) for branch in branches]
        await peer.send(data)
        await peer.send_eof()
        assert await asyncio.gather(*reading) == [data, data]


async def test_a_branch_is_a_stream_like_any_other() -> None:
    """K15: bounded reads, reads into memory, readers, locks, another tee."""
    async with linked() as (socket, peer):
        first, second = socket.readable.tee()
        await peer.send(b"abcdef")
        await peer.send_eof()
        assert await first.read(2) == b"ab"
        buffer = bytearray(3)
        assert await first.read_into(buffer) == 3
        assert buffer == b"cde"
        reader = first.get_reader()
        with pytest.raises(UsageError, match="locked"):
            _ = first.read()
        assert await reader.read() == b"f"
        assert await reader.read() == b""
        await reader.closed
        third, fourth = second.tee()
        assert await read_all(third) == await read_all(fourth) == b"abcdef"


async def test_the_teed_stream_stays_locked() -> None:
    """K15: it belongs to its branches."""
    async with linked() as (socket, _):
        branches = socket.readable.tee()
        assert socket.readable.locked
        with pytest.raises(UsageError, match="locked"):
            socket.readable.tee()
        del branches


async def test_a_locked_stream_is_not_teed() -> None:
    """K15: nor one with a pending read."""
    async with linked() as (socket, peer):
        reading = asyncio.create_task(anext(socket.readable))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="pending"):
            socket.readable.tee()
        await peer.send(b"x")
        await reading


async def test_the_faster_branch_waits_for_the_slower() -> None:
    """K12: nobody reads the second branch: the first gets at most 64 KiB more than one chunk."""
    async with linked() as (socket, peer):
        first, second = socket.readable.tee()
        sending = asyncio.create_task(peer.send(bytes(8 << 20)))
        received = 0
        while True:
            reading = asyncio.create_task(read_some(first))
            for _ in range(200):  # turns in which bytes that may be read are read
                await asyncio.sleep(0)
                if reading.done():
                    break
            if not reading.done() and received >= LEAD:
                break
            received += len(await reading)
        assert LEAD <= received < LEAD + LEAD
        total = len(await second.read(1 << 20))
        while total < 8 << 20:
            total += len(await second.read())
            if reading.done():
                received += len(await reading)
                reading = asyncio.create_task(read_some(first))
                await asyncio.sleep(0)
            elif total - received >= LEAD:
                received += len(await reading)
                reading = asyncio.create_task(read_some(first))
        await peer.send_eof()
        received += len(await reading)
        received += len(await read_all(first))
        assert received == total == 8 << 20
        await sending


async def read_some(stream: ReadableStream) -> bytes:
    return await stream.read()


async def test_a_cancelled_branch_holds_nobody_up() -> None:
    """K12: the other one gets everything, however much."""
    async with linked() as (socket, peer):
        first, second = socket.readable.tee()
        await second.cancel("not interested")
        assert await second.read() == b""
        reading = asyncio.create_task(read_all(first))
        await peer.send(bytes(4 << 20))
        await peer.send_eof()
        assert len(await reading) == 4 << 20


async def test_cancelling_both_cancels_the_source() -> None:
    """K15: what arrives is discarded then; the write side goes on."""
    async with linked() as (socket, peer):
        for branch in socket.readable.tee():
            await branch.cancel()
        await peer.send(bytes(16 << 20))
        await socket.writable.write(b"still here")
        assert await peer.receive_exactly(10) == b"still here"


async def test_a_failure_reaches_both() -> None:
    """K5: whichever branch read it."""
    async with linked() as (socket, peer):
        first, second = socket.readable.tee()
        reading = asyncio.create_task(read_some(first))
        await asyncio.sleep(0)
        peer.abort()
        with pytest.raises(ResetError):
            await reading
        with pytest.raises(ResetError):
            await second.read()
        for branch in (first, second):
            assert isinstance(await outcome(branch.get_reader().closed), ResetError)


async def test_cancelling_the_task_that_pulls_leaves_it_to_the_other() -> None:
    """K13: the second branch, which waited for the first one's read, goes on by itself."""
    async with linked() as (socket, peer):
        first, second = socket.readable.tee()
        pulling = asyncio.create_task(read_some(first))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(read_some(second))
        await asyncio.sleep(0)
        pulling.cancel()
        await asyncio.wait([pulling])
        await peer.send(b"for both")
        assert await waiting == b"for both"
        assert await first.read() == b"for both"


async def test_one_pending_read_for_each_branch() -> None:
    """K15: a second one is refused."""
    async with linked() as (socket, peer):
        first, _second = socket.readable.tee()
        reading: Any = asyncio.create_task(read_some(first))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="already pending"):
            await first.read()
        await peer.send(b"x")
        assert await reading == b"x"


async def test_split_lets_one_be_read_to_its_end_first() -> None:
    """What ``clone()`` of a message needs: ``tee()`` would wait for the other branch for ever."""
    data = bytes(LEAD * 4)
    async with linked() as (socket, peer):
        first, second = split(socket.readable, len(data))
        sending = asyncio.create_task(send_all(peer, data))
        assert await read_all(first) == data
        assert await read_all(second) == data
        await sending
        assert socket.readable.locked


async def test_split_is_bounded() -> None:
    """The faster one is told; it can go on when the slower one has caught up."""
    async with linked() as (socket, peer):
        first, second = split(socket.readable, 3)
        await peer.send(b"abcd")
        assert await first.read() == b"abcd"
        with pytest.raises(LimitExceeded, match="3 bytes ahead of the other: read both at the same time"):
            await first.read()
        assert await second.read() == b"abcd"
        await peer.send_eof()
        assert await first.read() == await second.read() == b""


async def send_all(peer: Any, data: bytes) -> None:
    await peer.send(data)
    await peer.send_eof()


async def test_a_branch_that_nobody_holds_takes_nothing() -> None:
    """A copy that is dropped neither fills memory nor holds the other one up."""
    data = bytes(4 * LEAD)
    async with linked() as (socket, peer):
        kept, dropped = socket.readable.tee()
        del dropped
        sending = asyncio.create_task(peer.send(data))
        assert await kept.read_into(bytearray(10)) == 10
        await sending
        await peer.send_eof()
        assert len(await read_all(kept)) == len(data) - 10


async def test_a_branch_that_is_dropped_lets_the_other_go_on() -> None:
    data = bytes(4 * LEAD)
    async with linked() as (socket, peer):
        kept, dropped = socket.readable.tee()
        sending = asyncio.create_task(peer.send(data))
        reading = asyncio.create_task(read_all(kept))
        while getattr(dropped._source, "size_bytes") < LEAD:  # noqa: B009 -- of a branch, which its type does not say
            await asyncio.sleep(0)
        del dropped
        await sending
        await peer.send_eof()
        assert await reading == data


async def test_a_split_off_copy_that_is_dropped_has_no_limit() -> None:
    async with linked() as (socket, peer):
        kept, dropped = split(socket.readable, 10)
        del dropped
        await peer.send(bytes(1000))
        await peer.send_eof()
        assert len(await read_all(kept)) == 1000
