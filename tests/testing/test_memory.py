"""Memory streams: what they add to the contract of ``ByteStream``, and where they cut."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import ArgumentValueError, ClosedError, ResetError, UsageError
from longshore.testing import MemoryStream, StreamDriver, memory_stream_pair


class CountingOwner:
    """Remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_readable(self) -> None:
        self.calls.append("readable")

    def on_writable(self) -> None:
        self.calls.append("writable")

    def on_broken(self, error: Exception) -> None:
        self.calls.append(f"broken {type(error).__name__}")

    async def settled(self) -> list[str]:
        for _ in range(5):
            await asyncio.sleep(0)
        calls, self.calls = self.calls, []
        return calls


def owned(stream: MemoryStream) -> CountingOwner:
    owner = CountingOwner()
    stream.set_owner(owner)
    return owner


async def test_a_write_is_cut_at_the_capacity() -> None:
    near, far = memory_stream_pair(capacity_bytes=4)
    assert near.try_write(b"abcdef") == 4
    assert near.try_write(b"ef") == 0
    assert far.try_read(3) == b"abc"
    assert near.try_write(b"efgh") == 3
    assert far.try_read(100) == b"defg"


async def test_room_is_announced_once_and_only_to_who_waits() -> None:
    near, far = memory_stream_pair(capacity_bytes=4)
    owner = owned(near)
    near.try_write(b"abcd")
    far.try_read(1)
    assert await owner.settled() == []
    near.try_write(b"ef")
    far.try_read(1)
    far.try_read(1)
    assert await owner.settled() == ["writable"]


async def test_bytes_are_announced_once_until_they_are_taken() -> None:
    near, far = memory_stream_pair()
    owner = owned(near)
    far.try_write(b"ab")
    far.try_write(b"cd")
    assert await owner.settled() == ["readable"]
    far.try_write(b"ef")
    assert await owner.settled() == []
    assert near.try_read(100) == b"abcdef"
    far.try_write(b"gh")
    assert await owner.settled() == ["readable"]


async def test_an_announcement_is_dropped_when_its_reason_is_gone() -> None:
    near, far = memory_stream_pair()
    owner = owned(near)
    far.try_write(b"ab")
    assert near.try_read(100) == b"ab"
    assert await owner.settled() == []


async def test_inject_reset_breaks_both_ends_behind_what_arrived() -> None:
    near, far = memory_stream_pair()
    owners = owned(near), owned(far)
    near.try_write(b"to far")
    assert await owners[1].settled() == ["readable"]
    near.inject_reset()
    assert await owners[0].settled() == ["readable"]
    assert await owners[1].settled() == ["broken ResetError"]
    assert far.try_read(100) == b"to far"
    for end in (near, far):
        with pytest.raises(ResetError, match="was reset"):
            end.try_read(1)
        with pytest.raises(ResetError, match="was reset"):
            end.try_write(b"x")
        with pytest.raises(ResetError, match="was reset"):
            end.try_write_eof()


async def test_inject_reset_after_close_does_nothing() -> None:
    near, far = memory_stream_pair()
    near.close()
    near.inject_reset()
    assert far.try_read(1) == b""


async def test_a_closed_peer_is_end_of_file_for_reads_and_a_reset_for_writes() -> None:
    near, far = memory_stream_pair()
    far.try_write(b"bye")
    far.close()
    assert near.try_read(100) == b"bye"
    assert near.try_read(100) == b""
    with pytest.raises(ResetError, match="the peer memory-b no longer reads"):
        near.try_write(b"x")


async def test_a_closed_peer_wakes_a_blocked_writer() -> None:
    near, far = memory_stream_pair(capacity_bytes=1)
    near.try_write(b"ab")
    owner = owned(near)
    far.close()
    assert sorted(await owner.settled()) == ["readable", "writable"]


async def test_stall_writes_accepts_nothing_until_it_ends() -> None:
    near, far = memory_stream_pair()
    owner = owned(near)
    near.stall_writes()
    assert near.try_write(b"abc") == 0
    far.try_write(b"the other direction")
    assert near.try_read(100) == b"the other direction"
    assert await owner.settled() == []
    near.stall_writes(False)
    assert await owner.settled() == ["writable"]
    assert near.try_write(b"abc") == 3
    assert far.try_read(100) == b"abc"


async def test_stall_writes_holds_the_end_back_too() -> None:
    near, far = memory_stream_pair()
    owner = owned(near)
    near.stall_writes()
    assert not near.try_write_eof()
    assert far.try_read(1) is None
    near.stall_writes(False)
    assert await owner.settled() == ["writable"]
    assert near.try_write_eof()
    assert far.try_read(1) == b""


async def test_writing_after_the_end_is_a_mistake_of_the_caller() -> None:
    near, _ = memory_stream_pair()
    assert near.try_write_eof()
    with pytest.raises(UsageError, match="try_write_eof"):
        near.try_write(b"x")


async def test_after_close_every_call_says_so() -> None:
    near, _ = memory_stream_pair(names=("client", "db.example:5432"))
    near.close()
    for call in (lambda: near.try_read(1), near.peek, lambda: near.try_write(b"x"), near.try_write_eof):
        with pytest.raises(ClosedError, match=r"the connection to db\.example:5432 is closed"):
            call()


@pytest.mark.parametrize("capacity_bytes", [0, -1])
async def test_the_capacity_is_checked(capacity_bytes: int) -> None:
    with pytest.raises(ArgumentValueError, match=f"capacity_bytes {capacity_bytes} is too small"):
        memory_stream_pair(capacity_bytes=capacity_bytes)


async def test_a_read_of_no_bytes_would_look_like_the_end() -> None:
    near, _ = memory_stream_pair()
    with pytest.raises(ArgumentValueError, match="max_bytes 0 is too small"):
        near.try_read(0)


@given(
    capacity_bytes=st.integers(1, 40),
    pieces=st.lists(st.binary(min_size=1, max_size=100), max_size=8),
    read_bytes=st.integers(1, 50),
)
async def test_every_byte_arrives_once_and_in_order(capacity_bytes: int, pieces: list[bytes], read_bytes: int) -> None:
    ends = memory_stream_pair(capacity_bytes=capacity_bytes)
    near, far = (StreamDriver(end) for end in ends)

    async def write() -> None:
        for piece in pieces:
            await near.send(piece)
        await near.send_eof()

    async def read() -> bytes:
        received = bytearray()
        while data := await far.receive(read_bytes):
            received += data
        return bytes(received)

    _, received = await asyncio.gather(write(), read())
    assert received == b"".join(pieces)
