"""``StreamDriver``: coroutines over a byte stream."""

from __future__ import annotations

import asyncio

import pytest

from longshore.errors import ClosedError, ResetError
from longshore.testing import StreamDriver, memory_stream_pair


def pair(capacity_bytes: int = 1000) -> tuple[StreamDriver, StreamDriver]:
    near, far = memory_stream_pair(capacity_bytes=capacity_bytes)
    return StreamDriver(near), StreamDriver(far)


async def test_send_waits_for_room_and_receive_for_bytes() -> None:
    near, far = pair(capacity_bytes=3)
    sending = asyncio.create_task(near.send(b"0123456789"))
    assert await far.receive_exactly(10) == b"0123456789"
    await sending


async def test_both_directions_may_wait_at_the_same_time() -> None:
    near, far = pair(capacity_bytes=1)
    data = bytes(range(256))
    results = await asyncio.gather(near.send(data), near.receive_exactly(256), far.send(data), far.receive_exactly(256))
    assert list(results) == [None, data, None, data]


async def test_receive_all_reads_to_the_end() -> None:
    near, far = pair()
    await near.send(b"all ")
    await near.send(b"of it")
    await near.send_eof()
    assert await far.receive_all() == b"all of it"
    assert await far.receive() == b""


async def test_an_early_end_is_no_short_answer() -> None:
    near, far = pair()
    await near.send(b"abc")
    await near.send_eof()
    with pytest.raises(EOFError, match="end-of-file after 3 of 4 bytes"):
        await far.receive_exactly(4)


async def test_a_reset_reaches_whoever_waits() -> None:
    near, far = pair(capacity_bytes=1)
    waiting = [asyncio.create_task(far.receive()), asyncio.create_task(far.send(b"too much"))]
    await asyncio.sleep(0)
    near.abort()
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(error, ResetError)


async def test_close_reaches_whoever_waits() -> None:
    near, far = pair()
    waiting = asyncio.create_task(near.receive())
    await asyncio.sleep(0)
    near.close()
    with pytest.raises(ClosedError):
        await waiting
    assert await far.receive() == b""


async def test_a_cancelled_receive_loses_nothing() -> None:
    near, far = pair()
    waiting = asyncio.create_task(far.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await near.send(b"abc")
    assert await far.receive() == b"abc"


async def test_send_eof_waits_while_writes_are_stalled() -> None:
    ends = memory_stream_pair()
    near, far = (StreamDriver(end) for end in ends)
    ends[0].stall_writes()
    ending = asyncio.create_task(near.send_eof())
    await asyncio.sleep(0)
    assert not ending.done()
    ends[0].stall_writes(False)
    await ending
    assert await far.receive() == b""
    assert near.stream is ends[0]
