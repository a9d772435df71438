"""When crons fire: tables, and any sequence of looks at the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.runtime.host.crons import MISSED_AFTER, CronSchedule

NOON = datetime(2026, 2, 27, 12, 0, tzinfo=UTC)  # a Friday

NEXT = [
    ("* * * * *", "2026-02-27 12:01"),
    ("*/30 * * * *", "2026-02-27 12:30"),
    ("0 17 * * sun", "2026-03-01 17:00"),
    ("10 7 * * mon-fri", "2026-03-02 07:10"),
    ("0 15 1 * *", "2026-03-01 15:00"),
    ("59 23 LW * *", "2026-02-27 23:59"),
    ("0 0 29 2 *", "2028-02-29 00:00"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("cron", "expected"), NEXT)
def test_next_time(cron: str, expected: str) -> None:
    assert CronSchedule([cron], NOON).next_at() == at(expected)


def test_fires_once_at_its_time() -> None:
    schedule = CronSchedule(["0 13 * * *"], NOON)
    assert schedule.due(at("2026-02-27 12:59:59")) == []
    assert schedule.due(at("2026-02-27 13:00:00.2")) == [("0 13 * * *", at("2026-02-27 13:00"))]
    assert schedule.due(at("2026-02-27 13:00:00.3")) == []
    assert schedule.next_at() == at("2026-02-28 13:00")


def test_an_expression_given_twice_fires_once() -> None:
    schedule = CronSchedule(["* * * * *", "* * * * *"], NOON)
    assert len(schedule.due(at("2026-02-27 12:01"))) == 1


def test_what_was_missed_is_not_made_up_for() -> None:
    schedule = CronSchedule(["0 13 * * *", "* * * * *"], NOON)
    woke = at("2026-02-27 15:00:10")
    assert schedule.due(woke) == [("* * * * *", at("2026-02-27 15:00"))]
    assert schedule.next_at() == at("2026-02-27 15:01")


def test_a_clock_that_was_set_back_fires_again_at_its_times() -> None:
    schedule = CronSchedule(["0 13 * * *"], at("2031-01-01 00:00"))
    assert schedule.due(NOON) == []
    assert schedule.next_at() == at("2026-02-27 13:00")


def test_a_clock_that_was_corrected_by_a_second_does_not_repeat() -> None:
    schedule = CronSchedule(["* * * * *"], NOON)
    assert len(schedule.due(at("2026-02-27 12:01:00"))) == 1
    assert schedule.due(at("2026-02-27 12:00:59")) == []
    assert schedule.due(at("2026-02-27 12:01:01")) == []


def test_an_expression_without_any_time_never_fires() -> None:
    schedule = CronSchedule(["0 0 */31 * MON#5"], NOON)  # a first of a month that is a fifth Monday
    assert schedule.next_at() is None
    assert schedule.due(NOON + timedelta(days=365)) == []


def test_no_crons_never_fire() -> None:
    schedule = CronSchedule([], NOON)
    assert schedule.next_at() is None
    assert schedule.due(NOON + timedelta(days=1)) == []


@given(
    cron=st.sampled_from([cron for cron, _ in NEXT]),
    looks=st.lists(st.floats(0.0, 4000.0), max_size=30),
)
def test_every_firing_is_late_by_little_and_never_repeated(cron: str, looks: list[float]) -> None:
    schedule = CronSchedule([cron], NOON)
    now, fired = NOON, list[datetime]()
    for seconds in looks:
        now += timedelta(seconds=seconds)
        for _, due in schedule.due(now):
            assert timedelta(0) <= now - due <= MISSED_AFTER
            assert due > NOON
            fired.append(due)
        following = schedule.next_at()
        assert following is None or following > now
    assert fired == sorted(set(fired))


@given(step_s=st.floats(0.1, MISSED_AFTER.total_seconds()))
def test_a_clock_that_is_looked_at_often_enough_misses_nothing(step_s: float) -> None:
    schedule, now, count = CronSchedule(["* * * * *"], NOON), NOON, 0
    while now < NOON + timedelta(minutes=5):
        now += timedelta(seconds=step_s)
        count += len(schedule.due(now))
    assert count == (now - NOON) // timedelta(minutes=1)
