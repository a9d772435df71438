"""Frames: whole, byte by byte, truncated, too long, and anything else that could come."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.ipc import frames
from longshore.proto.ipc.frames import MAX_FRAME_BYTES, Frame, FrameError, FrameReader, make_frame
from longshore.proto.ipc.messages import Adopt, Drain, LogLine

FRAMES = (Frame(Drain(timeout_s=1.5, hand_over=True)), Frame(Adopt(), 1), Frame(LogLine(level="info", text="ü" * 300)))
WIRE = b"".join(make_frame(frame.message, frame.descriptors) for frame in FRAMES)


def test_frames_come_out_as_they_went_in() -> None:
    reader = FrameReader()
    assert reader.receive_data(WIRE) == list(FRAMES)
    assert reader.is_empty


def test_one_byte_at_a_time() -> None:
    reader = FrameReader()
    got = [frame for index in range(len(WIRE)) for frame in reader.receive_data(WIRE[index : index + 1])]
    assert got == list(FRAMES)
    assert reader.is_empty


@given(st.lists(st.integers(1, 400), max_size=20))
def test_cut_anywhere(sizes: list[int]) -> None:
    reader, rest, got = FrameReader(), WIRE, []
    for size in sizes:
        got += reader.receive_data(rest[:size])
        rest = rest[size:]
    assert got + reader.receive_data(rest) == list(FRAMES)


@pytest.mark.parametrize("length", range(1, 12))
def test_a_beginning_is_kept_and_is_no_frame(length: int) -> None:
    reader = FrameReader()
    assert reader.receive_data(WIRE[:length]) == []
    assert not reader.is_empty


def test_announced_length_beyond_the_limit_is_refused_before_it_comes() -> None:
    with pytest.raises(FrameError, match="announced"):
        FrameReader().receive_data(struct.pack("!IB", MAX_FRAME_BYTES + 1, 0))


def test_message_beyond_the_limit_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    with pytest.raises(FrameError, match="longer than 100"):
        make_frame(LogLine(level="info", text="x" * 101))


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_wait_or_a_frame_error(data: bytes) -> None:
    try:
        FrameReader().receive_data(data)
    except FrameError:
        pass
