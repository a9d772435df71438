"""``pipe_to``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore import AbortController, ClosedError, ResetError, UsageError
from tests.loopback import linked, linked_tls, outcome

if TYPE_CHECKING:
    import ssl

    from longshore import Socket, TlsOptions


async def pipe(source: Socket, sink: Socket, **options: Any) -> None:
    await source.readable.pipe_to(sink.writable, **options)


def started(source: Socket, sink: Socket, **options: Any) -> asyncio.Task[None]:
    return asyncio.create_task(pipe(source, sink, **options))


async def test_everything_is_moved_and_the_end_too() -> None:
    """K15: 8 MiB and the FIN; both streams are locked meanwhile and free afterwards."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink)
        sending = asyncio.create_task(source_peer.send(bytes(8 << 20)))
        await asyncio.sleep(0)
        assert [source.readable.locked, sink.writable.locked] == [True, True]
        assert len(await sink_peer.receive_exactly(8 << 20)) == 8 << 20
        await sending
        await source_peer.send_eof()
        await piping
        assert [source.readable.locked, sink.writable.locked] == [False, False]
        assert await sink_peer.receive_until_end() == (b"", "eof")


async def test_the_destination_may_be_left_open() -> None:
    """K15: ``prevent_close``."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink, prevent_close=True)
        await source_peer.send(b"one")
        await source_peer.send_eof()
        await piping
        await sink.writable.write(b" two")
        assert await sink_peer.receive_exactly(7) == b"one two"


async def test_a_failing_source_aborts_the_destination() -> None:
    """K5: the far end of the pipe must not take a broken stream for a whole one."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink)
        await source_peer.send(b"half")
        assert await sink_peer.receive_exactly(4) == b"half"
        source_peer.abort()
        with pytest.raises(ResetError):
            await piping
        with pytest.raises(ClosedError):
            await sink.writable.write(b"more")
        sink.abort()
        assert (await sink_peer.receive_until_end())[1] == "reset"


async def test_the_destination_may_be_spared_from_a_failing_source() -> None:
    """K15: ``prevent_abort``."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink, prevent_abort=True)
        source_peer.abort()
        with pytest.raises(ResetError):
            await piping
        await sink.writable.write(b"instead")
        assert await sink_peer.receive_exactly(7) == b"instead"


async def test_a_failing_destination_cancels_the_source() -> None:
    """K15: what the source sends from then on is discarded."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink)
        await asyncio.sleep(0)
        sink_peer.abort()
        await outcome(sink.closed)
        await source_peer.send(b"for nobody")
        with pytest.raises(ResetError):
            await piping
        assert await source.readable.read() == b""
        assert not source.closed.done()


async def test_the_source_may_be_spared_from_a_failing_destination() -> None:
    """K15: ``prevent_cancel``; the chunk that could not be written is lost, the rest is readable."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink, prevent_cancel=True)
        await asyncio.sleep(0)
        sink_peer.abort()
        await outcome(sink.closed)
        await source_peer.send(b"lost")
        with pytest.raises(ResetError):
            await piping
        await source_peer.send(b"kept")
        assert (await source.readable.read()).endswith(b"kept")


async def test_a_destination_that_fails_ends_an_idle_pipe() -> None:
    """K15: WHATWG *errors must be propagated backward*, also while the source has nothing to say."""
    async with linked() as (source, _), linked() as (sink, sink_peer):
        piping = started(source, sink)
        await asyncio.sleep(0)
        sink_peer.abort()
        with pytest.raises(ResetError):
            await piping
        assert not source.readable.locked


async def test_a_destination_that_had_failed_takes_nothing() -> None:
    """K15: the pipe raises before it reads a byte."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        sink_peer.abort()
        await outcome(sink.closed)
        await source_peer.send(b"unread")
        with pytest.raises(ResetError):
            await pipe(source, sink, prevent_cancel=True)
        assert await source.readable.read() == b"unread"


async def test_cancelling_an_idle_pipe_whose_destination_fails_is_a_cancellation() -> None:
    """K13: a pipe that is cancelled and interrupted at once ends as cancelled."""
    async with linked() as (source, _), linked() as (sink, _):
        piping = started(source, sink)
        await asyncio.sleep(0)
        piping.cancel()
        sink.abort()
        with pytest.raises(asyncio.CancelledError):
            await piping


async def test_many_pipes_into_one_destination_leave_nothing_there() -> None:
    """K13: a pipe that has ended is forgotten by its destination."""
    async with linked() as (sink, sink_peer):
        for _ in range(3):
            async with linked() as (source, source_peer):
                await source_peer.send(b"x")
                await source_peer.send_eof()
                await pipe(source, sink, prevent_close=True)
        assert await sink_peer.receive_exactly(3) == b"xxx"
        assert not sink._channel.writing.closed._callbacks


async def test_a_signal_stops_the_pipe() -> None:
    """K15: the one is aborted, the other cancelled; the error has the signal's reason."""
    controller = AbortController()
    async with linked() as (source, _), linked() as (sink, _):
        piping = started(source, sink, signal=controller.signal)
        await asyncio.sleep(0)
        controller.abort("enough")
        with pytest.raises(ClosedError) as caught:
            await piping
        assert caught.value.reason == "enough"
        assert await source.readable.read() == b""
        with pytest.raises(ClosedError):
            await sink.writable.write(b"more")


async def test_a_signal_may_leave_both_streams_alone() -> None:
    """K15: with ``prevent_abort`` and ``prevent_cancel`` only the pipe ends."""
    controller = AbortController()
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink, signal=controller.signal, prevent_abort=True, prevent_cancel=True)
        await asyncio.sleep(0)
        controller.abort("enough")
        with pytest.raises(ClosedError):
            await piping
        await source_peer.send(b"in")
        assert await source.readable.read() == b"in"
        await sink.writable.write(b"out")
        assert await sink_peer.receive_exactly(3) == b"out"


async def test_an_aborted_signal_stops_the_pipe_before_it_begins() -> None:
    """K15: nothing is read."""
    controller = AbortController()
    controller.abort("never")
    async with linked() as (source, source_peer), linked() as (sink, _):
        await source_peer.send(b"unread")
        with pytest.raises(ClosedError, match="never"):
            await pipe(source, sink, signal=controller.signal, prevent_abort=True, prevent_cancel=True)
        assert await source.readable.read() == b"unread"


async def test_cancelling_the_pipe_leaves_both_streams_open() -> None:
    """K13: the locks are released, nothing is lost."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink)
        await source_peer.send(b"one")
        assert await sink_peer.receive_exactly(3) == b"one"
        piping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await piping
        await source_peer.send(b"two")
        await pipe_once(source, sink)
        assert await sink_peer.receive_exactly(3) == b"two"


async def pipe_once(source: Socket, sink: Socket) -> None:
    await sink.writable.write(await source.readable.read())


@pytest.mark.parametrize("side", ["source", "sink"])
async def test_a_locked_stream_is_not_piped(side: str) -> None:
    """K15: and the other one is not left locked."""
    async with linked() as (source, _), linked() as (sink, _):
        lock: Any = source.readable.get_reader() if side == "source" else sink.writable.get_writer()
        with pytest.raises(UsageError, match="locked"):
            await pipe(source, sink)
        lock.release_lock()
        assert not source.readable.locked
        assert not sink.writable.locked


async def test_a_slow_destination_slows_the_source() -> None:
    """K12: what is under way is bounded by the buffers of both connections."""
    async with linked() as (source, source_peer), linked() as (sink, sink_peer):
        piping = started(source, sink)
        sending = asyncio.create_task(source_peer.send(bytes(64 << 20)))
        while sink.writable._side.desired_size > 0:
            await asyncio.sleep(0)
        assert not sending.done()
        received = 0
        while received < 64 << 20:
            received += len(await sink_peer.receive())
        await sending
        await source_peer.send_eof()
        await piping


async def test_from_plain_to_tls(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K10: the end of the pipe is a close_notify there."""
    async with linked() as (source, source_peer), linked_tls(client_tls, server_ssl_context) as (sink, sink_peer):
        piping = started(source, sink)
        await source_peer.send(b"x" * 100_000)
        await source_peer.send_eof()
        assert await sink_peer.receive_all() == b"x" * 100_000
        await piping
