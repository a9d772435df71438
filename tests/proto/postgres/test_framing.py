"""Byte streams → messages, in bounded memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.codec import parse_backend, parse_frontend, serialize
from longshore.proto.postgres.constants import BACKEND_LIMITS, FRONTEND_LIMITS, LARGE_MESSAGE_BYTES
from longshore.proto.postgres.framing import (
    BULK_TYPES,
    Frame,
    FrameChunk,
    FrameEvent,
    FrameReader,
    FrameStart,
    Run,
    backend_reader,
    frontend_reader,
)
from longshore.proto.postgres.violation import ProtocolViolation
from tests.proto.postgres.cases import BACKEND_CASES, FRONTEND_CASES, Case
from tests.proto.postgres.strategies import backend_messages, chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable

ROW = serialize(m.DataRow((b"1",)))
TAG = serialize(m.CommandComplete(b"SELECT 1"))
READY = serialize(m.ReadyForQuery(ord("I")))
WIRE = b"".join(case.wire for case in BACKEND_CASES)


def read_all(reader: FrameReader, chunks: list[bytes]) -> list[FrameEvent]:
    return [event for chunk in chunks for event in reader.receive_data(chunk)]


def test_many_messages_in_one_buffer() -> None:
    frames = backend_reader().receive_data(WIRE)
    assert [(frame.type, frame.payload) for frame in frames if isinstance(frame, Frame)] == [
        (case.wire[0], case.payload) for case in BACKEND_CASES
    ]
    assert [parse_backend(frame.type, frame.payload) for frame in frames if isinstance(frame, Frame)] == [
        case.message for case in BACKEND_CASES
    ]


def test_byte_by_byte() -> None:
    for reader, table in ((backend_reader(), BACKEND_CASES), (frontend_reader(), FRONTEND_CASES)):
        wire = b"".join(case.wire for case in table)
        frames = read_all(reader, [wire[i : i + 1] for i in range(len(wire))])
        assert frames == [Frame(case.wire[0], case.wire) for case in table]
        assert reader.is_between_messages


@pytest.mark.parametrize("case", BACKEND_CASES, ids=lambda case: case.name)
def test_every_truncation_waits_for_more(case: Case) -> None:
    for size in range(len(case.wire)):
        reader = backend_reader()
        assert reader.receive_data(case.wire[:size]) == []
        assert reader.is_between_messages == (size == 0)
        assert reader.buffered_bytes == size
        assert reader.receive_data(case.wire[size:] + READY) == [Frame(case.wire[0], case.wire), Frame(ord("Z"), READY)]


@given(messages=st.lists(backend_messages, max_size=12), cuts=st.lists(st.integers(0), max_size=12), data=st.data())
def test_any_chunking_gives_the_same_bytes(
    messages: list[m.BackendMessage], cuts: list[int], data: st.DataObject
) -> None:
    wire = b"".join(map(serialize, messages))
    bound = data.draw(st.integers(0, 30))
    merged = data.draw(st.sampled_from([(), BULK_TYPES, tuple(BACKEND_LIMITS)]))
    reader = backend_reader(max_whole_bytes=bound, merged=merged)
    events = []
    for chunk in chunks_of(wire, cuts):
        events += reader.receive_data(chunk)
        assert reader.buffered_bytes <= bound + 5
    assert b"".join(event.raw for event in events) == wire
    assert reader.is_between_messages
    assert whole_messages(events) == len(messages)


def whole_messages(events: list[FrameEvent]) -> int:
    return sum(
        event.messages if isinstance(event, Run) else isinstance(event, Frame) or getattr(event, "is_last", False)
        for event in events
    )


def test_rows_are_merged_into_runs() -> None:
    reader = backend_reader(merged=BULK_TYPES)
    assert reader.receive_data(ROW * 3 + TAG + ROW + READY + ROW * 2 + ROW[:3]) == [
        Run(ROW * 3, 3),
        Frame(ord("C"), TAG),
        Run(ROW, 1),
        Frame(ord("Z"), READY),
        Run(ROW * 2, 2),
    ]
    assert reader.receive_data(ROW[3:] + ROW) == [Run(ROW, 1), Run(ROW, 1)]


def test_a_long_message_is_streamed() -> None:
    reader = backend_reader(max_whole_bytes=8)
    long = serialize(m.CopyData(b"abcdefghijkl"))
    assert reader.receive_data(READY + long[:7]) == [
        Frame(ord("Z"), READY),
        FrameStart(ord("d"), long[:5], 12),
        FrameChunk(b"ab", is_last=False),
    ]
    assert not reader.is_between_messages
    assert reader.buffered_bytes == 0
    assert reader.receive_data(long[7:] + READY) == [FrameChunk(b"cdefghijkl", is_last=True), Frame(ord("Z"), READY)]
    assert reader.is_between_messages


def test_a_gigabyte_is_never_kept() -> None:
    reader = backend_reader()
    header = b"D" + LARGE_MESSAGE_BYTES.to_bytes(4, "big")
    assert reader.receive_data(header[:2]) == []
    assert reader.receive_data(header[2:]) == [FrameStart(ord("D"), header, LARGE_MESSAGE_BYTES - 4)]
    megabyte = bytes(1 << 20)
    missing = LARGE_MESSAGE_BYTES - 4
    while missing:
        (event,) = reader.receive_data(megabyte[:missing])
        assert isinstance(event, FrameChunk)
        missing -= len(event.raw)
        assert event.is_last == (not missing)
        assert reader.buffered_bytes == 0


def test_a_bound_of_its_own_for_a_type() -> None:
    reader = frontend_reader(max_whole_bytes=10, whole_bytes={ord("Q"): 100})
    query = serialize(m.Query(b"x" * 60))
    assert reader.receive_data(query) == [Frame(ord("Q"), query)]
    copy = serialize(m.CopyData(b"x" * 60))
    assert reader.receive_data(copy) == [FrameStart(ord("d"), copy[:5], 60), FrameChunk(b"x" * 60, is_last=True)]


@pytest.mark.parametrize(
    ("reader", "wire"),
    [
        (frontend_reader, b"Q\0\0\0\x03"),
        (frontend_reader, b"Q\xff\xff\xff\xff"),
        (frontend_reader, b"Q\x80\0\0\0"),
        (frontend_reader, b"Q\x3f\xff\xff\xff"),
        (frontend_reader, b"S\0\0\x27\x11"),
        (frontend_reader, b"\0\0\0\0\x08"),
        (frontend_reader, b"Z\0\0\0\x05I"),
        (frontend_reader, b"\x16\x03\x01\x02\x00"),
        (frontend_reader, b"GET / HTTP/1.1\r\n"),
        (backend_reader, b"Z\0\0\x75\x31"),
        (backend_reader, b"Q\0\0\0\x05\0"),
        (backend_reader, b"D\0\0\0\0"),
    ],
)
def test_a_length_or_type_that_cannot_be_is_fatal(reader: Callable[[], FrameReader], wire: bytes) -> None:
    for size in (len(wire), 1):
        this = reader()
        with pytest.raises(ProtocolViolation) as caught:
            read_all(this, [wire[i : i + size] for i in range(0, len(wire), size)])
        assert caught.value.is_fatal
        assert caught.value.message_type == wire[0]
        assert not this.is_between_messages


def test_what_was_complete_before_a_violation_is_returned_first() -> None:
    reader = backend_reader()
    assert reader.receive_data(READY + b"?\0\0\0\x04") == [Frame(ord("Z"), READY)]
    for data in (b"", READY):
        with pytest.raises(ProtocolViolation, match="invalid message type"):
            reader.receive_data(data)


@given(chunks=st.lists(st.binary(max_size=40), max_size=8), bound=st.integers(0, 64))
def test_nonsense_is_a_violation_or_needs_more(chunks: list[bytes], bound: int) -> None:
    for make in (frontend_reader, backend_reader):
        reader = make(max_whole_bytes=bound)
        events: list[FrameEvent] = []
        with contextlib.suppress(ProtocolViolation):
            for chunk in chunks:
                events += reader.receive_data(chunk)
        assert b"".join(chunks).startswith(b"".join(event.raw for event in events))
        assert reader.buffered_bytes <= bound + 5


def test_whole_frontend_messages_parse() -> None:
    frames = frontend_reader().receive_data(b"".join(case.wire for case in FRONTEND_CASES))
    for frame, case in zip(frames, FRONTEND_CASES, strict=True):
        assert isinstance(frame, Frame)
        assert parse_frontend(frame.type, frame.payload, auth_reply=case.auth_reply) == case.message


def test_limits_are_those_of_postgres_and_libpq() -> None:
    assert FRONTEND_LIMITS[ord("Q")] == 0x3FFFFFFE
    assert FRONTEND_LIMITS[ord("S")] == 10_000
    assert FRONTEND_LIMITS[ord("p")] == 65_535
    assert BACKEND_LIMITS[ord("Z")] == 30_000
    assert BACKEND_LIMITS[ord("t")] == 6 + 4 * 65_535
