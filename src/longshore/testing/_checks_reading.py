"""The contract of ``ByteStream``, part 1: reading and end-of-file; each function is one promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.testing._checking import PATTERN, CheckingOwner, receive_from, require, turns

if TYPE_CHECKING:
    from longshore.abc import ByteStream
    from longshore.testing.driver import StreamPeer

__all__ = [
    "end_of_file_comes_after_the_bytes_and_stays",
    "peek_takes_nothing",
    "read_into_fills_the_front_of_the_buffer",
    "reads_after_its_own_end",
    "reads_in_order_in_pieces_of_any_size",
    "returns_none_and_calls_back_when_bytes_come",
    "tells_of_an_end_nobody_asked_for",
    "tells_of_bytes_nobody_asked_for",
    "writes_after_the_peers_end",
]


async def reads_in_order_in_pieces_of_any_size(stream: ByteStream, peer: StreamPeer) -> None:
    """Bytes come out in order, never more at a time than was asked for."""
    owner = CheckingOwner(stream)
    await peer.send(PATTERN)
    received = bytearray()
    for size in (1, 2, 3, 100, 4000):
        received += await owner.read(size)
    received += await owner.read_exactly(len(PATTERN) - len(received))
    require(bytes(received) == PATTERN, "bytes were lost, doubled or out of order")
    require(not owner.complaints, "; ".join(owner.complaints))


async def returns_none_and_calls_back_when_bytes_come(stream: ByteStream, peer: StreamPeer) -> None:
    """Without bytes a read returns None; their arrival is announced, every time."""
    owner = CheckingOwner(stream)
    for word in (b"one", b"two", b"three"):
        await turns()
        require(owner.call(stream.try_read, 10) is None, "a read without bytes did not return None")
        count = owner.readable_count
        await peer.send(word)
        while owner.readable_count == count:
            await owner.changed()
        require(await owner.read_exactly(len(word)) == word, "the wrong bytes arrived")
    require(not owner.complaints, "; ".join(owner.complaints))


async def tells_of_bytes_nobody_asked_for(stream: ByteStream, peer: StreamPeer) -> None:
    """An owner that only waits hears of bytes."""
    owner = CheckingOwner(stream)
    await peer.send(b"x")
    await owner.changed()
    require(await owner.read() == b"x", "the byte that was announced is not there")


async def peek_takes_nothing(stream: ByteStream, peer: StreamPeer) -> None:
    """``peek`` answers None, True and False, and the bytes are still there afterwards."""
    owner = CheckingOwner(stream)
    require(owner.call(stream.peek) is None, "peek without bytes did not return None")
    await peer.send(b"hello")
    while owner.call(stream.peek) is None:
        await owner.changed()
    for _ in range(3):
        require(owner.call(stream.peek) is True, "peek with bytes did not return True every time")
    await peer.send_eof()
    require(await owner.read_exactly(5) == b"hello", "peek changed the bytes")
    while owner.call(stream.peek) is None:
        await owner.changed()
    require(owner.call(stream.peek) is False, "peek at end-of-file did not return False")
    require(await owner.read() == b"", "end-of-file was lost by peek")


async def read_into_fills_the_front_of_the_buffer(stream: ByteStream, peer: StreamPeer) -> None:
    """``try_read_into`` answers None, a count, and 0 at the end, and leaves the rest of the buffer alone."""
    owner = CheckingOwner(stream)
    buffer = bytearray(b"." * 8)

    async def read_into(view: memoryview) -> int:
        while (count := owner.call(stream.try_read_into, view)) is None:
            await owner.changed()
        return count

    require(owner.call(stream.try_read_into, memoryview(buffer)) is None, "no bytes, but not None")
    await peer.send(b"abc")
    filled = 0
    while filled < 3:
        filled += await read_into(memoryview(buffer)[filled:])
    require(bytes(buffer) == b"abc.....", f"the buffer holds {bytes(buffer)!r} instead of b'abc.....'")
    await peer.send_eof()
    require(await read_into(memoryview(buffer)) == 0, "end-of-file was not reported as 0")
    require(bytes(buffer) == b"abc.....", "end-of-file changed the buffer")


async def end_of_file_comes_after_the_bytes_and_stays(stream: ByteStream, peer: StreamPeer) -> None:
    """The peer's end is reported behind its last byte, and at every read from then on."""
    owner = CheckingOwner(stream)
    await peer.send(PATTERN)
    await peer.send_eof()
    require(await owner.read_exactly(len(PATTERN)) == PATTERN, "bytes in front of end-of-file were lost")
    for _ in range(3):
        require(await owner.read() == b"", "end-of-file did not stay")


async def tells_of_an_end_nobody_asked_for(stream: ByteStream, peer: StreamPeer) -> None:
    """An owner that only waits hears of the peer's end (rule K7)."""
    owner = CheckingOwner(stream)
    await peer.send_eof()
    while not owner.readable_count:
        await owner.changed()
    require(await owner.read() == b"", "the end that was announced is not there")


async def writes_after_the_peers_end(stream: ByteStream, peer: StreamPeer) -> None:
    """The peer's end ends one direction only."""
    owner = CheckingOwner(stream)
    await peer.send_eof()
    require(await owner.read() == b"", "the peer's end was not reported")
    await owner.write(PATTERN)
    require(await receive_from(peer, len(PATTERN)) == PATTERN, "bytes written after the peer's end were lost")


async def reads_after_its_own_end(stream: ByteStream, peer: StreamPeer) -> None:
    """``try_write_eof`` reaches the peer behind the last byte, and reading goes on (rule K10)."""
    owner = CheckingOwner(stream)
    await owner.write(b"last words")
    await owner.write_eof()
    require(await receive_from(peer, 10) == b"last words", "bytes in front of our end were lost")
    require(await peer.receive() == b"", "the peer did not get our end-of-file")
    await peer.send(PATTERN)
    await peer.send_eof()
    require(await owner.read_exactly(len(PATTERN)) == PATTERN, "bytes after our own end were lost")
    require(await owner.read() == b"", "the peer's end was not reported after our own")
