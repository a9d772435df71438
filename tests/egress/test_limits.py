"""The counting of limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.model import EgressLimits
from longshore.egress.limits import Shortage, Usage


def limit_of(usage: Usage, request_id: str = "", now: float = 0.0) -> str | None:
    shortage = usage.shortage(request_id, now)
    return None if shortage is None else shortage.limit


def test_without_limits_nothing_is_ever_short() -> None:
    usage = Usage(EgressLimits())
    for _ in range(1000):
        assert usage.shortage("r", 0.0) is None
        usage.admit("r", 0.0)
        usage.count_bytes("r", 1 << 40)
    assert usage.open_sockets == 1000
    assert not usage.has_byte_limit


def test_open_sockets_are_counted_until_they_are_given_back() -> None:
    usage = Usage(EgressLimits(open_sockets=2))
    usage.admit("", 0.0)
    usage.admit("a", 0.0)
    assert usage.shortage("b", 0.0) == Shortage("open_sockets", 2, can_wait=True)
    usage.release("a")
    assert usage.shortage("b", 0.0) is None


def test_a_request_has_its_own_places_which_do_not_concern_others() -> None:
    usage = Usage(EgressLimits(request_open_sockets=1))
    usage.admit("a", 0.0)
    shortage = usage.shortage("a", 0.0)
    assert shortage is not None
    assert shortage.is_of_request
    assert shortage.is_of_sockets
    assert shortage.can_wait
    assert limit_of(usage, "b") is None
    assert limit_of(usage, "") is None


def test_dials_of_a_request_do_not_come_back() -> None:
    usage = Usage(EgressLimits(request_dials=1))
    usage.admit("a", 0.0)
    usage.release("a")
    assert usage.shortage("a", 99.0) == Shortage("request_dials", 1, can_wait=False)
    assert limit_of(usage, "b") is None


def test_bytes_cannot_be_waited_for() -> None:
    usage = Usage(EgressLimits(bytes=100, request_bytes=60))
    usage.count_bytes("a", 60)
    assert usage.shortage("a", 0.0) == Shortage("request_bytes", 60, can_wait=False)
    assert limit_of(usage, "b") is None
    usage.count_bytes("b", 40)
    assert usage.shortage("c", 0.0) == Shortage("bytes", 100, can_wait=False)
    assert usage.has_byte_limit


def test_a_second_of_dials_saves_up_and_the_next_is_due_in_time() -> None:
    usage = Usage(EgressLimits(dials_per_s=4))
    for _ in range(4):
        assert limit_of(usage, now=10.0) is None
        usage.admit("", 10.0)
    shortage = usage.shortage("", 10.0)
    assert shortage == Shortage("dials_per_s", 4, can_wait=True, retry_at=10.25)
    assert limit_of(usage, now=10.2) == "dials_per_s"
    assert limit_of(usage, now=10.25) is None
    # An hour is not more than a second.
    for _ in range(4):
        assert limit_of(usage, now=4000.0) is None
        usage.admit("", 4000.0)
    assert limit_of(usage, now=4000.0) == "dials_per_s"


def test_less_than_one_dial_a_second_is_possible() -> None:
    usage = Usage(EgressLimits(dials_per_s=0.1))
    assert limit_of(usage, now=0.0) is None
    usage.admit("", 0.0)
    assert limit_of(usage, now=9.9) == "dials_per_s"
    assert limit_of(usage, now=10.0) is None


@pytest.mark.parametrize(
    "limits", [EgressLimits(open_sockets=0), EgressLimits(request_open_sockets=0), EgressLimits(request_dials=0)]
)
def test_nothing_waits_for_a_place_where_there_is_none(limits: EgressLimits) -> None:
    shortage = Usage(limits).shortage("a", 0.0)
    assert shortage is not None
    assert not shortage.can_wait


def test_no_dials_a_second_is_never() -> None:
    usage = Usage(EgressLimits(dials_per_s=0))
    usage.admit("", 0.0)
    shortage = usage.shortage("", 1e9)
    assert shortage is not None
    assert not shortage.can_wait


def test_what_waiting_cannot_cure_is_said_first() -> None:
    usage = Usage(EgressLimits(open_sockets=1, request_dials=1, dials_per_s=1))
    usage.admit("a", 0.0)
    assert limit_of(usage, "a") == "request_dials"
    assert limit_of(usage, "b") == "open_sockets"
    usage.release("a")
    assert limit_of(usage, "b") == "dials_per_s"


def test_requests_are_forgotten_except_those_with_something_open() -> None:
    usage = Usage(EgressLimits(request_dials=1, request_open_sockets=1))
    usage.admit("holds", 0.0)
    usage.admit("done", 0.0)
    usage.release("done")
    for number in range(10_000):
        usage.admit(f"r{number}", 0.0)
        usage.release(f"r{number}")
    assert len(usage._requests) <= 4097
    assert limit_of(usage, "done") is None
    assert limit_of(usage, "holds") == "request_dials"
    usage.release("holds")


@given(
    limits=st.builds(
        EgressLimits,
        open_sockets=st.none() | st.integers(0, 4),
        request_open_sockets=st.none() | st.integers(0, 3),
        request_dials=st.none() | st.integers(0, 6),
        dials_per_s=st.none() | st.floats(0.5, 5),
    ),
    steps=st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.booleans(), st.floats(0, 2)), max_size=60),
)
def test_no_limit_is_ever_passed(limits: EgressLimits, steps: list[tuple[str, bool, float]]) -> None:
    usage = Usage(limits)
    open_by: dict[str, int] = {"a": 0, "b": 0, "": 0}
    dials: list[tuple[float, str]] = []
    now = 0.0
    for request_id, wants, passes_s in steps:
        now += passes_s
        if not wants:
            if open_by[request_id]:
                open_by[request_id] -= 1
                usage.release(request_id)
        elif usage.shortage(request_id, now) is None:
            usage.admit(request_id, now)
            open_by[request_id] += 1
            dials.append((now, request_id))
        assert usage.open_sockets == sum(open_by.values())
        assert limits.open_sockets is None or usage.open_sockets <= limits.open_sockets
        for each in ("a", "b"):
            assert limits.request_open_sockets is None or open_by[each] <= limits.request_open_sockets
            assert limits.request_dials is None or sum(who == each for _, who in dials) <= limits.request_dials
    if limits.dials_per_s is not None:
        for index, (started, _) in enumerate(dials):
            for count, (at, _) in enumerate(dials[index:], start=1):
                assert count <= max(limits.dials_per_s, 1) + (at - started) * limits.dials_per_s + 1e-3
