"""The contract of ``ByteStream``, part 3: resets, closing and owners; each function is one promise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.errors import SocketError
from longshore.testing._checking import (
    PATTERN,
    CheckingOwner,
    must_raise,
    receive_from,
    require,
    require_reset,
    turns,
)

if TYPE_CHECKING:
    from longshore.abc import ByteStream, StreamOwner
    from longshore.testing.driver import StreamPeer

__all__ = [
    "a_reset_behind_unread_bytes_is_noticed",
    "a_reset_is_an_error_every_time",
    "a_reset_wakes_a_blocked_writer",
    "a_write_after_a_reset_raises_and_reads_do_too",
    "abort_resets_the_peer",
    "close_delivers_what_was_accepted",
    "close_does_not_answer_unread_bytes_with_a_reset",
    "close_is_final_silent_and_idempotent",
    "only_the_present_owner_is_called",
    "the_owner_may_close_inside_a_callback",
]


async def a_reset_is_an_error_every_time(stream: ByteStream, peer: StreamPeer) -> None:
    """A reset makes reads, ``peek`` included, raise from then on; it is never end-of-file (rule K5)."""
    owner = CheckingOwner(stream)
    require(owner.call(stream.try_read, 1) is None, "a read without bytes did not return None")
    peer.abort()
    _, error = await owner.drain_until_error()
    require_reset(error)
    for _ in range(3):
        require_reset(must_raise(lambda: stream.try_read(1), "a reset"))
        require_reset(must_raise(lambda: stream.try_read_into(memoryview(bytearray(1))), "a reset"))
        require_reset(must_raise(stream.peek, "a reset"))


async def a_reset_behind_unread_bytes_is_noticed(stream: ByteStream, peer: StreamPeer) -> None:
    """An owner that leaves bytes unread hears of a reset, and reads a prefix of them and then the error."""
    owner = CheckingOwner(stream)
    await peer.send(PATTERN)
    await owner.changed()
    await turns()
    peer.abort()
    while not owner.broken and owner.readable_count < 2:
        await owner.changed()
    received, error = await owner.drain_until_error()
    require(PATTERN.startswith(received), "what was read before the reset is no prefix of what was sent")
    require_reset(error)
    require(not owner.complaints, "; ".join(owner.complaints))


async def a_write_after_a_reset_raises_and_reads_do_too(stream: ByteStream, peer: StreamPeer) -> None:
    """A failed write does not turn the error of later reads into end-of-file (rule K5)."""
    owner = CheckingOwner(stream)
    peer.abort()
    error: SocketError | None = None
    while error is None:
        try:
            await owner.write(b"x")
            await turns(1)
        except SocketError as exc:
            error = exc
    require_reset(error)
    _, error = await owner.drain_until_error()
    require_reset(error)


async def a_reset_wakes_a_blocked_writer(stream: ByteStream, peer: StreamPeer) -> None:
    """Whoever waits for ``on_writable`` is called when the connection breaks."""
    owner = CheckingOwner(stream)
    while owner.call(stream.try_write, PATTERN) == len(PATTERN):
        pass
    peer.abort()
    error: SocketError | None = None
    while error is None:
        await owner.changed()
        try:
            owner.call(stream.try_write, PATTERN)
        except SocketError as exc:
            error = exc
    require_reset(error)


async def close_is_final_silent_and_idempotent(stream: ByteStream, peer: StreamPeer) -> None:
    """After ``close()`` nothing is called back, read or written, and it may be called again."""
    owner = CheckingOwner(stream)
    owner.call(stream.close)
    owner.call(stream.close)
    owner.call(stream.abort)
    require(stream.fileno() == -1, "fileno() is not -1 after close()")
    must_raise(lambda: stream.try_read(1), "close()")
    must_raise(lambda: stream.try_write(b"x"), "close()")
    count = owner.readable_count + owner.writable_count + len(owner.broken)
    peer.abort()
    await turns()
    require(
        owner.readable_count + owner.writable_count + len(owner.broken) == count,
        "a callback came after close()",
    )


async def close_delivers_what_was_accepted(stream: ByteStream, peer: StreamPeer) -> None:
    """Bytes that were accepted and flushed reach the peer although the stream is closed at once."""
    owner = CheckingOwner(stream)
    await owner.write(PATTERN)
    owner.call(stream.close)
    require(await receive_from(peer, len(PATTERN)) == PATTERN, "bytes accepted before close() were lost")


async def close_does_not_answer_unread_bytes_with_a_reset(stream: ByteStream, peer: StreamPeer) -> None:
    """What was written before ``close()`` arrives, also when the owner has left bytes unread."""
    owner = CheckingOwner(stream)
    await peer.send(PATTERN)
    await owner.changed()
    await owner.write(PATTERN)
    await owner.write_eof()
    owner.call(stream.close)
    require(await receive_from(peer, len(PATTERN)) == PATTERN, "bytes accepted before close() were lost")
    require(await peer.receive() == b"", "the peer did not get our end-of-file")


async def abort_resets_the_peer(stream: ByteStream, peer: StreamPeer) -> None:
    """``abort()`` is an error at the peer, never an orderly end; it is final and idempotent."""
    owner = CheckingOwner(stream)
    await owner.write(b"cut short")
    owner.call(stream.abort)
    owner.call(stream.abort)
    owner.call(stream.close)
    require(stream.fileno() == -1, "fileno() is not -1 after abort()")
    must_raise(lambda: stream.try_read(1), "abort()")
    try:
        while data := await peer.receive():
            require(b"cut short".endswith(data), "the peer received something else")
    except ConnectionError:
        return
    raise AssertionError("the peer saw an orderly end")


async def only_the_present_owner_is_called(stream: ByteStream, peer: StreamPeer) -> None:
    """A former owner hears nothing; a new one hears of what is there already."""
    former = CheckingOwner(stream)
    former.call(stream.set_owner, None)
    await peer.send(b"x")
    await turns()
    require(former.readable_count == 0, "a former owner was called")
    owner = CheckingOwner(stream)
    await owner.changed()
    require(owner.readable_count > 0, "the new owner was not told of bytes that are there")
    require(await owner.read() == b"x", "the byte was lost between two owners")
    require(former.readable_count == 0, "a former owner was called")


async def the_owner_may_close_inside_a_callback(stream: ByteStream, peer: StreamPeer) -> None:
    """Closing from within ``on_readable`` is allowed."""
    closed = asyncio.Event()

    class Closer:
        def on_readable(self) -> None:
            stream.close()
            closed.set()

        def on_writable(self) -> None:
            raise AssertionError("nobody waited for on_writable")

        def on_broken(self, error: Exception) -> None:
            raise AssertionError(f"nothing broke, but on_broken was called with {error!r}")

    owner: StreamOwner = Closer()
    stream.set_owner(owner)
    await peer.send(b"x")
    await closed.wait()
    await turns()
