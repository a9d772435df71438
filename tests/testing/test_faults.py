"""The fault machine alone: bytes in, actions out, for every fault at every kind of offset."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import ArgumentTypeError, ArgumentValueError
from longshore.testing.faults import (
    Action,
    ByteWise,
    Chunked,
    CloseBoth,
    Cut,
    Delay,
    Fault,
    FaultMachine,
    Forward,
    HalfClose,
    Pause,
    Reset,
    ResetBoth,
    SendEof,
    Stall,
    Truncate,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA = b"0123456789"
END = len(DATA)
BEYOND = END + 5
OFFSETS = [0, 1, 5, END, BEYOND]

# What each fault does at its offset, and whether the bytes behind it are still forwarded.
EFFECTS: list[tuple[Callable[[int], Fault], Action, bool]] = [
    (Cut, CloseBoth(), False),
    (Reset, ResetBoth(), False),
    (Truncate, SendEof(), False),
    (HalfClose, SendEof(), False),
    (Stall, Pause(), True),
    (lambda at: Delay(at, 0.5), Wait(0.5), True),
]


def run(faults: Sequence[Fault], pieces: Sequence[bytes]) -> list[Action]:
    """Give the machine all pieces and the end, as far as it wants input."""
    machine = FaultMachine(faults)
    actions = machine.start()
    for piece in pieces:
        if machine.wants_input:
            actions += machine.receive_data(piece)
    if machine.wants_input:
        actions += machine.receive_eof()
    return actions


def forwarded(actions: Sequence[Action]) -> bytes:
    return b"".join(action.data for action in actions if isinstance(action, Forward))


def merged(actions: Sequence[Action]) -> list[Action]:
    """Join neighbouring segments, so that only what happens between which bytes is left."""
    result: list[Action] = []
    for action in actions:
        if isinstance(action, Forward) and result and isinstance(result[-1], Forward):
            result[-1] = Forward(result[-1].data + action.data)
        else:
            result.append(action)
    return result


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[index : index + size] for index in range(0, len(data), size)]


def test_no_fault_forwards_everything_and_the_end() -> None:
    assert run([], [DATA]) == [Forward(DATA), SendEof()]


@pytest.mark.parametrize("piece_bytes", [1, 3, END])
@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize(("make", "effect", "goes_on"), EFFECTS)
def test_a_fault_happens_exactly_behind_its_offset(
    make: Callable[[int], Fault], effect: Action, goes_on: bool, at_bytes: int, piece_bytes: int
) -> None:
    actions = merged(run([make(at_bytes)], pieces_of(DATA, piece_bytes)))
    before, after = DATA[:at_bytes], DATA[at_bytes:]
    expected: list[Action] = [Forward(before)] if before else []
    if at_bytes <= END:
        expected.append(effect)
    if goes_on and at_bytes <= END:
        expected += [Forward(after)] if after else []
    if goes_on or at_bytes > END:
        expected.append(SendEof())
    assert actions == expected


@pytest.mark.parametrize(("make", "effect", "_"), EFFECTS)
def test_a_fault_at_zero_needs_no_byte(make: Callable[[int], Fault], effect: Action, _: bool) -> None:
    assert FaultMachine([make(0)]).start() == [effect]


@pytest.mark.parametrize(("make", "effect", "_"), EFFECTS)
def test_a_fault_at_the_last_byte_needs_no_further_one(make: Callable[[int], Fault], effect: Action, _: bool) -> None:
    machine = FaultMachine([make(END)])
    assert machine.start() == []
    assert machine.receive_data(DATA) == [Forward(DATA), effect]


@pytest.mark.parametrize(
    ("make", "wants_input"),
    [(Cut, False), (Reset, False), (HalfClose, False), (Truncate, True), (Stall, True)],
)
def test_only_a_truncated_or_stalled_sender_is_read_on(make: Callable[[int], Fault], wants_input: bool) -> None:
    machine = FaultMachine([make(3)])
    machine.receive_data(DATA)
    assert machine.wants_input is wants_input


def test_input_after_the_end_of_a_direction_does_nothing() -> None:
    machine = FaultMachine([Cut(3)])
    assert machine.receive_data(DATA) == [Forward(b"012"), CloseBoth()]
    assert machine.receive_data(DATA) == []
    assert machine.receive_eof() == []
    assert machine.forwarded_bytes == 3


def test_a_truncated_senders_end_is_not_sent_twice() -> None:
    assert run([Truncate(3)], [DATA, DATA]) == [Forward(b"012"), SendEof()]


def test_the_end_is_sent_once() -> None:
    machine = FaultMachine()
    assert machine.receive_eof() == [SendEof()]
    assert machine.receive_eof() == []
    assert not machine.wants_input


def test_faults_are_sorted_by_offset() -> None:
    actions = run([Cut(6), Stall(2), Delay(4, 0.1)], [DATA])
    assert actions == [Forward(b"01"), Pause(), Forward(b"23"), Wait(0.1), Forward(b"45"), CloseBoth()]


def test_faults_at_one_offset_keep_their_order() -> None:
    assert run([Delay(2, 0.1), Stall(2), Reset(2)], [DATA]) == [
        Forward(b"01"),
        Wait(0.1),
        Pause(),
        ResetBoth(),
    ]


def test_a_fault_behind_the_end_of_the_direction_is_never_reached() -> None:
    assert run([Cut(2), Stall(2), Reset(3)], [DATA]) == [Forward(b"01"), CloseBoth()]


def test_byte_wise_forwards_every_byte_by_itself() -> None:
    assert run([ByteWise()], [b"ab", b"c"]) == [Forward(b"a"), Forward(b"b"), Forward(b"c"), SendEof()]


def test_chunked_takes_its_sizes_in_turn() -> None:
    actions = run([Chunked([1, 3])], [DATA])
    assert [action.data for action in actions if isinstance(action, Forward)] == [
        b"0",
        b"123",
        b"4",
        b"567",
        b"8",
        b"9",
    ]


def test_chunked_holds_nothing_back_to_fill_a_segment() -> None:
    machine = FaultMachine([Chunked((4,))])
    assert machine.receive_data(b"abc") == [Forward(b"abc")]


def test_a_fault_splits_a_segment() -> None:
    assert run([Chunked((4,)), Delay(2, 0.1)], [b"abcdef"]) == [
        Forward(b"ab"),
        Wait(0.1),
        Forward(b"cdef"),
        SendEof(),
    ]


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
@pytest.mark.parametrize("make", [Cut, Reset, Stall, Truncate, HalfClose, lambda at: Delay(at, 1)])
def test_an_offset_must_be_an_int(make: Callable[[object], Fault], value: object) -> None:
    with pytest.raises(ArgumentTypeError, match="at_bytes"):
        make(value)


@pytest.mark.parametrize("make", [Cut, Reset, Stall, Truncate, HalfClose, lambda at: Delay(at, 1)])
def test_an_offset_must_not_be_negative(make: Callable[[int], Fault]) -> None:
    with pytest.raises(ArgumentValueError, match="at_bytes -1 is too small: it must be at least 0"):
        make(-1)


@pytest.mark.parametrize(
    ("delay_s", "error"),
    [
        (-0.1, ArgumentValueError),
        (inf, ArgumentValueError),
        (nan, ArgumentValueError),
        ("1", ArgumentTypeError),
        (True, ArgumentTypeError),
    ],
)
def test_a_delay_must_be_a_finite_number_of_seconds(delay_s: float, error: type[Exception]) -> None:
    with pytest.raises(error, match="delay_s"):
        Delay(0, delay_s)


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ((), ArgumentValueError),
        ((0,), ArgumentValueError),
        ((1, -1), ArgumentValueError),
        ((1.5,), ArgumentTypeError),
    ],
)
def test_chunk_sizes_are_checked(sizes: tuple[int, ...], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"sizes|chunk size"):
        Chunked(sizes)


def test_two_segment_rules_contradict_each_other() -> None:
    with pytest.raises(ArgumentValueError, match="contradict"):
        FaultMachine([ByteWise(), Chunked([2])])


def test_a_script_holds_faults_only() -> None:
    with pytest.raises(ArgumentTypeError, match="'cut' is no fault"):
        FaultMachine(["cut"])  # type: ignore[list-item]  # the mistake under test


def test_faults_are_values() -> None:
    assert Cut(3) == Cut(at_bytes=3)
    assert Cut(3) != Cut(4)
    assert Chunked([1, 2]) == Chunked((1, 2))
    assert len({Cut(3), Cut(3), Stall(3), ByteWise(), ByteWise()}) == 3
    assert repr(Delay(3, 0.5)) == "Delay(at_bytes=3, delay_s=0.5)"


# -- properties ----------------------------------------------------------------------------------------

offsets = st.integers(0, 64)
offset_faults = st.one_of(
    st.builds(Cut, offsets),
    st.builds(Reset, offsets),
    st.builds(Stall, offsets),
    st.builds(Truncate, offsets),
    st.builds(HalfClose, offsets),
    st.builds(Delay, offsets, st.floats(0, 1)),
)
segment_rules: st.SearchStrategy[list[Fault]] = st.one_of(
    st.just([]),
    st.just([ByteWise()]),
    st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda sizes: [Chunked(sizes)]),
)
scripts = st.builds(lambda faults, rule: [*faults, *rule], st.lists(offset_faults, max_size=4), segment_rules)
inputs = st.lists(st.binary(min_size=1, max_size=20), max_size=6)


def end_of(script: Sequence[Fault]) -> int | None:
    return min(
        (fault.at_bytes for fault in script if isinstance(fault, (Cut, Reset, Truncate, HalfClose))),
        default=None,
    )


@given(scripts, inputs)
def test_exactly_the_bytes_before_the_end_are_forwarded(script: list[Fault], pieces: list[bytes]) -> None:
    actions = run(script, pieces)
    assert forwarded(actions) == b"".join(pieces)[: end_of(script)]
    assert all(action.data for action in actions if isinstance(action, Forward))


@given(scripts, inputs)
def test_it_does_not_matter_how_the_bytes_arrive(script: list[Fault], pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    expected = merged(run(script, [whole] if whole else []))
    assert merged(run(script, pieces)) == expected
    assert merged(run(script, pieces_of(whole, 1))) == expected


@given(scripts, inputs)
def test_a_direction_ends_once_and_nothing_follows(script: list[Fault], pieces: list[bytes]) -> None:
    actions = run(script, pieces)
    endings = [index for index, action in enumerate(actions) if isinstance(action, (SendEof, CloseBoth, ResetBoth))]
    assert endings == [len(actions) - 1]


@given(scripts, inputs)
def test_every_reachable_pause_and_wait_happens_at_its_offset(script: list[Fault], pieces: list[bytes]) -> None:
    total, end = len(b"".join(pieces)), end_of(script)
    position, happened = 0, []
    for action in run(script, pieces):
        if isinstance(action, Forward):
            position += len(action.data)
        elif isinstance(action, (Pause, Wait)):
            happened.append(position)
    reachable = [fault.at_bytes for fault in script if isinstance(fault, (Stall, Delay)) and fault.at_bytes <= total]
    sure = sorted(at for at in reachable if end is None or at < end)
    possible = sorted(at for at in reachable if end is None or at <= end)
    assert happened[: len(sure)] == sure
    assert happened == possible[: len(happened)]


@given(inputs, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_no_segment_is_larger_than_its_size(pieces: list[bytes], sizes: list[int]) -> None:
    segments = [action for action in run([Chunked(sizes)], pieces) if isinstance(action, Forward)]
    for index, segment in enumerate(segments):
        assert len(segment.data) <= sizes[index % len(sizes)]
