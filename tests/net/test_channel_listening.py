"""Tests of ``longshore.net.channel``: delivery by plain calls, and what a peer that is not trusted can send."""

from __future__ import annotations

import array
import asyncio
import itertools
import os
import select
import socket

import pytest

from longshore.net.channel import Channel
from longshore.net.fdpass import Inbox
from longshore.proto.ipc.frames import FrameError, make_frame
from longshore.proto.ipc.messages import LogLine
from tests.net.test_channel import descriptors_open, pair, pipe, raw_pair

# -- listening --------------------------------------------------------------------------------------


class Heard:
    """What a listening channel delivers."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.lines: list[str] = []
        self.fds: list[int] = []
        self.ends: list[Exception | None] = []
        self.pause_after = -1
        self.close_after = -1

    def listen(self) -> None:
        self.channel.listen(self.on_message, self.ends.append)

    def on_message(self, message: object, fds: list[int]) -> None:
        assert isinstance(message, LogLine)
        self.lines.append(message.text)
        self.fds += fds
        if len(self.lines) == self.pause_after:
            self.channel.pause()
        if len(self.lines) == self.close_after:
            self.channel.close()

    async def until(self, count: int) -> None:
        while len(self.lines) < count:
            await asyncio.sleep(0)


def line(text: str) -> LogLine:
    return LogLine(level="info", text=text)


async def test_a_listener_gets_messages_and_descriptors_in_order_and_then_the_end() -> None:
    with pair() as (left, right), pipe() as (reading, _):
        heard = Heard(right)
        left.send(line("before"))
        await left.flush()
        heard.listen()
        left.send(line("with"), [reading])
        left.send(line("after"))
        await heard.until(3)
        assert heard.lines == ["before", "with", "after"]
        (fd,) = heard.fds
        assert os.fstat(fd).st_ino == os.fstat(reading).st_ino
        os.close(fd)
        left.close()
        while not heard.ends:
            await asyncio.sleep(0)
        assert heard.ends == [None]


async def test_a_listener_is_told_what_broke_the_channel_after_what_came_before() -> None:
    with raw_pair() as (raw, channel):
        heard = Heard(channel)
        heard.listen()
        raw.send(make_frame(line("good")))
        await heard.until(1)
        raw.send(b"\xff" * 10)
        while not heard.ends:
            await asyncio.sleep(0)
        assert heard.lines == ["good"]
        assert isinstance(heard.ends[0], FrameError)


async def test_a_listener_hears_of_an_end_that_was_there_before() -> None:
    with pair() as (left, right):
        left.send(line("last words"))
        await left.flush()
        left.close()
        for _ in range(5):
            await asyncio.sleep(0)
        heard = Heard(right)
        heard.listen()
        while not heard.ends:
            await asyncio.sleep(0)
        assert (heard.lines, heard.ends) == (["last words"], [None])


async def test_a_paused_listener_hears_nothing_until_it_resumes() -> None:
    with pair() as (left, right):
        heard = Heard(right)
        heard.pause_after = 2
        heard.listen()
        for number in range(5):
            left.send(line(str(number)))
        await left.flush()
        await heard.until(2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert heard.lines == ["0", "1"]
        left.close()
        right.resume()
        right.resume()
        while not heard.ends:
            await asyncio.sleep(0)
        assert heard.lines == ["0", "1", "2", "3", "4"]


async def test_a_paused_listener_holds_the_sender_up() -> None:
    with raw_pair() as (raw, channel):
        raw.setblocking(False)
        heard = Heard(channel)
        heard.pause_after = 1
        heard.listen()
        raw.send(make_frame(line("one")))
        await heard.until(1)
        sent = 1
        while select.select([], [raw], [], 0)[1]:
            raw.send(make_frame(line("x" * 1000)))
            sent += 1
            await asyncio.sleep(0)
        channel.resume()
        await heard.until(sent)


async def test_a_listener_may_close_the_channel_in_the_middle() -> None:
    with pair() as (left, right), pipe() as (reading, _):
        heard = Heard(right)
        heard.close_after = 2
        heard.listen()
        before = descriptors_open()
        for number in range(5):
            left.send(line(str(number)), [reading] if number > 2 else [])
        await left.flush()
        await heard.until(2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert (heard.lines, heard.ends) == (["0", "1"], [])
        assert descriptors_open() == before - 1  # its own socket


async def test_what_is_sent_now_leaves_before_the_loop_turns_and_behind_what_is_queued() -> None:
    with raw_pair() as (raw, channel):
        raw.setblocking(False)
        channel.send_now(line("first"))
        channel.send(line("second"))
        channel.send_now(line("third"))
        assert not channel.has_unsent
        assert raw.recv(65536) == b"".join(make_frame(line(text)) for text in ("first", "second", "third"))
        channel.close()
        channel.send_now(line("never"))


async def test_what_is_sent_now_waits_for_room_with_its_descriptor() -> None:
    with pair() as (left, right), pipe() as (reading, _):
        while not left.has_unsent:
            left.send_now(line("x" * 10_000))
        left.send_now(line("last"), [reading])
        heard = Heard(right)
        heard.listen()
        await left.flush()
        while not heard.lines or heard.lines[-1] != "last":
            await asyncio.sleep(0)
        (fd,) = heard.fds
        assert os.fstat(fd).st_ino == os.fstat(reading).st_ino
        os.close(fd)


async def test_what_fits_in_part_is_sent_to_the_end() -> None:
    with pair() as (left, right), pipe() as (reading, _):
        text = "x" * 4_000_000  # more than the kernel takes at once
        left.send_now(line(text), [reading])
        assert left.has_unsent
        heard = Heard(right)
        heard.listen()
        await heard.until(1)
        assert heard.lines == [text]
        (fd,) = heard.fds
        os.close(fd)


async def test_a_descriptor_that_is_not_open_harms_nobody_else() -> None:
    with raw_pair() as (raw, channel):
        with pytest.raises(OSError, match="Bad file descriptor"):
            channel.send_now(line("lost"), [2**30])
        channel.send_now(line("kept"))
        assert raw.recv(65536) == make_frame(line("kept"))
        channel.close()


async def test_what_is_sent_now_to_a_peer_that_is_gone_is_dropped() -> None:
    with raw_pair() as (raw, channel):
        raw.close()
        channel.send_now(line("nobody hears"))
        with pytest.raises(OSError, match="Broken pipe"):
            await channel.flush()
        channel.close()


async def test_a_slow_reader_leaves_something_unsent() -> None:
    with pair() as (left, right):
        while not left.has_unsent:
            left.send_now(line("x" * 10_000))
        heard = Heard(right)
        heard.listen()
        await left.flush()
        assert not left.has_unsent


async def test_descriptors_that_no_frame_announces_break_the_channel() -> None:
    with raw_pair() as (raw, channel), pipe() as (reading, _):
        before = descriptors_open()
        heard = Heard(channel)
        heard.listen()
        bomb = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reading] * 200))]
        raw.sendmsg([b"\x00"], bomb)
        raw.sendmsg([b"\x00"], bomb)
        while not heard.ends:
            await asyncio.sleep(0)
        assert isinstance(heard.ends[0], FrameError)
        channel.close()
        assert descriptors_open() == before - 1


async def test_an_inbox_takes_no_longer_frames_than_it_is_told() -> None:
    raw, other = socket.socketpair()
    with raw:
        channel = Channel(other, Inbox(100))
        raw.sendall(make_frame(line("short")))
        assert await channel.receive() == (line("short"), [])
        raw.sendall(make_frame(line("x" * 200)))
        with pytest.raises(FrameError, match="the limit is 100"):
            await channel.receive()
        channel.close()


async def test_a_peer_that_never_stops_does_not_have_the_loop_for_itself() -> None:
    with pair() as (left, right):
        turns: list[int] = []
        heard = Heard(right)
        heard.listen()
        for number in range(1000):
            left.send(line(str(number)))
        await left.flush()
        while len(heard.lines) < 1000:
            await asyncio.sleep(0)
            turns.append(len(heard.lines))
        assert heard.lines == [str(number) for number in range(1000)]
        assert max(after - before for before, after in itertools.pairwise([0, *turns])) <= 128


async def test_one_message_that_fails_does_not_hold_up_the_next() -> None:
    with pair() as (left, right):
        heard: list[str] = []
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))

        def on_message(message: object, _: list[int]) -> None:
            assert isinstance(message, LogLine)
            heard.append(message.text)
            if message.text == "bad":
                raise ValueError(message.text)

        right.listen(on_message, lambda _: None)
        left.send(line("bad"))
        left.send(line("good"))
        while len(heard) < 2:
            await asyncio.sleep(0)
        assert heard == ["bad", "good"]
        assert len(errors) == 1
        asyncio.get_running_loop().set_exception_handler(None)
