"""Crons fire by a clock; here the clock is the test's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from longshore.runtime.host.cron_timer import CronTimer, wall_clock

NOON = datetime(2026, 2, 27, 12, 0, tzinfo=UTC)


async def test_what_is_due_is_called_with_its_time() -> None:
    times = iter([NOON - timedelta(microseconds=1), NOON - timedelta(microseconds=1), NOON, NOON])
    fired: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue()
    timer = CronTimer(lambda cron, at: fired.put_nowait((cron, at)), clock=lambda: next(times))
    timer.set(["0 12 * * *", "5 12 * * *"])
    assert await fired.get() == ("0 12 * * *", NOON)
    timer.close()
    assert fired.empty()


async def test_other_crons_replace_the_first() -> None:
    timer = CronTimer(lambda cron, at: None, clock=lambda: NOON)
    timer.set(["* * * * *"])
    first = timer._timer
    timer.set([])
    assert first is not None
    assert first.cancelled()
    timer.close()


async def test_it_looks_at_the_clock_again_and_again() -> None:
    timer = CronTimer(lambda cron, at: None, clock=lambda: NOON)
    timer.set(["0 0 1 1 *"])
    assert timer._timer is not None
    assert timer._timer.when() - asyncio.get_running_loop().time() < 11.0
    timer.close()


def test_the_wall_clock_is_in_utc() -> None:
    assert wall_clock().utcoffset() == timedelta(0)
