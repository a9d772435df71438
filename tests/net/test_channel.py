"""The control channel: order, descriptors, ends, back-pressure, and nothing leaked."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.aio.tasks import spawn
from longshore.net.channel import MAX_DESCRIPTORS, Channel, SyncChannel
from longshore.proto.ipc.frames import FrameError, make_frame
from longshore.proto.ipc.messages import Adopt, Drain, Drained, HandOver, LogLine

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def pair() -> Iterator[tuple[Channel, Channel]]:
    left, right = (Channel(sock) for sock in socket.socketpair())
    try:
        yield left, right
    finally:
        left.close()
        right.close()


@contextmanager
def raw_pair() -> Iterator[tuple[socket.socket, Channel]]:
    raw, other = socket.socketpair()
    channel = Channel(other)
    try:
        yield raw, channel
    finally:
        raw.close()
        channel.close()


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def descriptors_open() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_messages_arrive_in_order() -> None:
    with pair() as (left, right):
        sent = [LogLine(level="info", text=str(number)) for number in range(1000)]
        for message in sent:
            left.send(message)
        received = [await right.receive() for _ in sent]
        assert received == [(message, []) for message in sent]


async def test_another_thread_can_speak_while_the_loop_is_blocked() -> None:
    raw, other = socket.socketpair()
    channel = Channel(other)
    queued, urgent = (LogLine(level="info", text=text) for text in ("queued", "urgent"))
    with raw:
        channel.send(queued)
        thread = threading.Thread(target=channel.send_at_once, args=(urgent,))
        thread.start()
        # The loop does not turn until it has arrived.
        assert raw.recv(65536) == make_frame(urgent)
        thread.join()
        await channel.flush()
        assert raw.recv(65536) == make_frame(queued)
        channel.close()
        channel.send_at_once(urgent)
        assert raw.recv(1) == b""


async def test_another_thread_does_not_speak_into_a_message() -> None:
    with raw_pair() as (raw, channel):
        channel.send(LogLine(level="info", text="x" * 4_000_000))
        await asyncio.sleep(0)
        raw.setblocking(False)
        size = 0
        channel.send_at_once(LogLine(level="info", text="urgent"))
        flushing = spawn(channel.flush(), name="flush")
        while not flushing.done():
            try:
                size += len(raw.recv(1 << 20))
            except BlockingIOError:
                await asyncio.sleep(0)
        await flushing
        with contextlib.suppress(BlockingIOError):
            while data := raw.recv(1 << 20):
                size += len(data)
        assert size == len(make_frame(LogLine(level="info", text="x" * 4_000_000)))


async def test_a_host_that_is_gone_is_told_nothing() -> None:
    with raw_pair() as (raw, channel):
        raw.close()
        channel.send_at_once(LogLine(level="info", text="urgent"))


async def test_messages_of_one_turn_leave_together() -> None:
    raw, other = socket.socketpair()
    channel = Channel(other)
    with raw:
        channel.send(Drained())
        channel.send(HandOver())
        raw.setblocking(False)
        with pytest.raises(BlockingIOError):
            raw.recv(1)
        await channel.flush()
        assert raw.recv(4096) == make_frame(Drained()) + make_frame(HandOver())
        channel.close()


async def test_a_descriptor_travels_and_is_close_on_exec() -> None:
    with pair() as (left, right), pipe() as (reading, writing):
        left.send(Adopt(), [writing])
        received = await right.receive()
        assert received is not None
        message, (fd,) = received
        assert message == Adopt()
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.write(fd, b"through")
        os.close(fd)
        assert os.read(reading, 100) == b"through"


async def test_the_sender_may_close_its_descriptor_at_once() -> None:
    with pair() as (left, right), pipe() as (reading, writing):
        duplicate = os.dup(writing)
        left.send(Adopt(), [duplicate])
        os.close(duplicate)
        received = await right.receive()
        assert received is not None
        os.write(received[1][0], b"x")
        os.close(received[1][0])
        assert os.read(reading, 1) == b"x"


async def test_descriptors_stay_with_their_messages() -> None:
    with pair() as (left, right):
        counts = [0, 3, 0, 0, MAX_DESCRIPTORS, 1, 0, 2]
        for count in counts:
            left.send(LogLine(level="info", text=str(count)), [0] * count)
        for count in counts:
            received = await right.receive()
            assert received is not None
            message, fds = received
            assert message == LogLine(level="info", text=str(count))
            assert len(fds) == count
            for fd in fds:
                os.close(fd)


async def test_more_descriptors_than_a_message_carries_are_refused() -> None:
    with pair() as (left, _), pytest.raises(ValueError, match="at most 253 descriptors, not 254"):
        left.send(Adopt(), [0] * 254)


async def test_a_closed_descriptor_is_refused_and_the_others_are_not_leaked() -> None:
    with pair() as (left, _):
        before = descriptors_open()
        with pytest.raises(OSError, match="Bad file descriptor"):
            left.send(Adopt(), [0, 0, 999_999])
        assert descriptors_open() == before


async def test_bytes_one_by_one() -> None:
    with raw_pair() as (raw, channel):
        frame = make_frame(Drain(timeout_s=1.5, hand_over=True))
        receiving = asyncio.ensure_future(channel.receive())
        for index in range(len(frame)):
            raw.send(frame[index : index + 1])
            await asyncio.sleep(0)
        assert await receiving == (Drain(timeout_s=1.5, hand_over=True), [])


@pytest.mark.parametrize("kept", [1, 4, 5, 10])
async def test_an_end_within_a_frame_is_an_error(kept: int) -> None:
    with raw_pair() as (raw, channel):
        raw.send(make_frame(HandOver())[:kept])
        raw.close()
        for _ in range(2):
            with pytest.raises(FrameError, match="in the middle of a frame"):
                await channel.receive()


async def test_an_end_between_frames_is_none_after_the_last_message() -> None:
    with raw_pair() as (raw, channel):
        raw.send(make_frame(HandOver()))
        raw.close()
        assert await channel.receive() == (HandOver(), [])
        assert await channel.receive() is None
        assert await channel.receive() is None


async def test_a_peer_that_ends_with_unread_messages_is_an_end_too() -> None:
    with raw_pair() as (raw, channel):
        channel.send(HandOver())
        await channel.flush()
        raw.send(make_frame(Drained()))
        raw.close()  # HandOver was not read: the kernel says ECONNRESET
        assert await channel.receive() == (Drained(), [])
        assert await channel.receive() is None


async def test_bytes_that_are_no_frame_are_an_error() -> None:
    with raw_pair() as (raw, channel):
        raw.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(FrameError, match="the limit is"):
            await channel.receive()


async def test_a_frame_without_its_descriptors_is_an_error() -> None:
    with raw_pair() as (raw, channel):
        raw.send(make_frame(Adopt(), 1))
        with pytest.raises(FrameError, match="1 descriptors announced, 0 came"):
            await channel.receive()


async def test_a_slow_receiver_makes_the_sender_wait_and_loses_nothing() -> None:
    with pair() as (left, right), pipe() as (_, writing):
        text = "x" * 10_000
        for number in range(2000):
            left.send(LogLine(level="info", text=text, logger=str(number)), [writing] if number % 100 == 0 else [])
        flushing = asyncio.ensure_future(left.flush())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not flushing.done()
        for number in range(2000):
            received = await right.receive()
            assert received is not None
            message, fds = received
            assert isinstance(message, LogLine)
            assert message.logger == str(number)
            assert len(fds) == (number % 100 == 0)
            for fd in fds:
                os.close(fd)
        await flushing


async def test_a_cancelled_receive_loses_nothing() -> None:
    with pair() as (left, right):
        receiving = asyncio.ensure_future(right.receive())
        await asyncio.sleep(0)
        receiving.cancel()
        left.send(HandOver())
        assert await right.receive() == (HandOver(), [])


async def test_close_wakes_the_receiver() -> None:
    with pair() as (_, right):
        receiving = asyncio.ensure_future(right.receive())
        await asyncio.sleep(0)
        right.close()
        assert await receiving is None


async def test_sending_to_nobody_is_silent_and_flush_tells() -> None:
    with pair() as (left, right):
        right.close()
        left.send(HandOver())
        with pytest.raises(BrokenPipeError):
            await left.flush()
        left.send(HandOver())
        with pytest.raises(BrokenPipeError):
            await left.flush()


async def test_flush_of_nothing_returns_at_once() -> None:
    with pair() as (left, _):
        await left.flush()


async def test_close_with_unsent_messages_fails_flush() -> None:
    with pair() as (left, _):
        left.send(LogLine(level="info", text="x" * 1_000_000))
        flushing = asyncio.ensure_future(left.flush())
        await asyncio.sleep(0)
        left.close()
        left.send(HandOver())
        with pytest.raises(ConnectionAbortedError):
            await flushing


async def test_descriptors_nobody_took_are_closed() -> None:
    before = descriptors_open()
    with pair() as (left, right), pipe() as (_, writing):
        left.send(Adopt(), [writing])
        left.send(Adopt(), [writing] * 3)
        await left.flush()
        assert await right.receive() is not None  # its one descriptor is ours: closed below
        left.send(Adopt(), [writing])  # stays in the outbox
        right.close()
        left.close()
        assert descriptors_open() == before + 3
        os.close(max(int(name) for name in os.listdir("/proc/self/fd") if is_open(int(name))))
    assert descriptors_open() == before


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_synchronous_channel_speaks_to_one_in_a_loop() -> None:
    raw, other = socket.socketpair()
    sync, channel = SyncChannel(raw), Channel(other)
    with pipe() as (reading, writing):
        channel.send(Adopt(), [writing])
        channel.send(HandOver())
        await channel.flush()
        received = sync.receive()
        assert received is not None
        assert received[0] == Adopt()
        os.write(received[1][0], b"x")
        os.close(received[1][0])
        assert os.read(reading, 1) == b"x"
        assert sync.has_message
        assert sync.receive() == (HandOver(), [])
        sync.send(Drained(), [writing])
        answer = await channel.receive()
        assert answer is not None
        os.close(answer[1][0])
        channel.close()
        assert sync.receive() is None
        sync.close()


def test_synchronous_channel_closes_what_nobody_took() -> None:
    before = descriptors_open()
    left, right = (SyncChannel(sock) for sock in socket.socketpair())
    left.send(Adopt(), [0])
    left.send(Adopt(), [0])
    received = right.receive()
    assert received is not None
    os.close(received[1][0])
    right.close()
    left.close()
    assert descriptors_open() == before


async def test_descriptors_that_find_no_room_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel truncates what the receiver has no space for; simulated with a small ancillary buffer."""
    monkeypatch.setattr("longshore.net.fdpass._ANCILLARY_BYTES", socket.CMSG_SPACE(array.array("i").itemsize))
    with pair() as (left, right):
        left.send(Adopt(), [0] * 8)
        with pytest.raises(FrameError, match="descriptors were lost"):
            await right.receive()
