"""The contract of ``ByteStream``, part 2: writing and back-pressure; each function is one promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.testing._checking import PATTERN, CheckingOwner, receive_from, require
from longshore.testing._link import stop

if TYPE_CHECKING:
    from longshore.abc import ByteStream
    from longshore.testing.driver import StreamPeer

__all__ = [
    "carries_both_directions_at_once",
    "is_bounded_and_says_when_there_is_room",
    "takes_any_bytes_like_object",
]

MOST_BUFFERED_BYTES: Final = 256 << 20
"""A stream that accepts more than this from a peer that does not read has no bound."""
WRITE_BYTES: Final = 256 * 1024


async def is_bounded_and_says_when_there_is_room(stream: ByteStream, peer: StreamPeer) -> None:
    """Writes are cut short while the peer does not read; ``on_writable`` comes when it does."""
    owner = CheckingOwner(stream)
    block = PATTERN * (WRITE_BYTES // len(PATTERN))
    accepted = count = owner.call(stream.try_write, block)
    while count == len(block):
        count = owner.call(stream.try_write, block)
        accepted += count
        require(accepted < MOST_BUFFERED_BYTES, f"{accepted} bytes were accepted with nobody reading: no bound")
    writing = spawn(owner.write(block[count:]), name="the write that was cut short")
    try:
        received = await receive_from(peer, accepted - count + len(block))
        await writing
    finally:
        await stop([writing])
    require(owner.writable_count > 0, "on_writable was not called")
    require(received == block * (len(received) // len(block)), "bytes were lost, doubled or out of order")
    require(not owner.complaints, "; ".join(owner.complaints))


async def carries_both_directions_at_once(stream: ByteStream, peer: StreamPeer) -> None:
    """A full write direction does not hold up reading."""
    owner = CheckingOwner(stream)
    while owner.call(stream.try_write, PATTERN) == len(PATTERN):
        pass
    await peer.send(b"meanwhile")
    require(await owner.read_exactly(9) == b"meanwhile", "the wrong bytes arrived")


async def takes_any_bytes_like_object(stream: ByteStream, peer: StreamPeer) -> None:
    """bytes, bytearray and memoryview are written alike, and not referred to afterwards."""
    owner = CheckingOwner(stream)
    mutable = bytearray(b"bytearray ")
    for data in (b"bytes ", mutable, memoryview(b"[memoryview]")[1:-1]):
        require(owner.call(stream.try_write, data) == len(data), "a short write was cut")
    mutable[:] = b"XXXXXXXXXX"
    while not owner.call(stream.flush):
        await owner.changed()
    expected = b"bytes bytearray memoryview"
    require(await receive_from(peer, len(expected)) == expected, "the bytes were changed after they were accepted")
