"""Calls back when a cron is due (shell over ``crons.py``)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from longshore.runtime.host.crons import CronSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["CronTimer", "wall_clock"]

# The wall clock may jump while the loop's does not: it is looked at again at least this often.
_LOOK_EVERY_S = 10.0


def wall_clock() -> datetime:
    """Return the time in UTC: crons are the one thing here that lives by the wall clock."""
    return datetime.now(UTC)  # noqa: TID251 - see the docstring


class CronTimer:
    """Watches the clock for a set of expressions; made inside the running loop.

    Args:
        on_due: called with the expression and the time it stands for.
        clock: tells the time in UTC.
    """

    def __init__(self, on_due: Callable[[str, datetime], None], *, clock: Callable[[], datetime] = wall_clock) -> None:
        self._on_due = on_due
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._schedule: CronSchedule | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, crons: Iterable[str]) -> None:
        """Watch for these from now on, and no others."""
        self._schedule = CronSchedule(crons, self._clock())
        self._wait()

    def close(self) -> None:
        """Fire no more."""
        self._schedule = None
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._schedule.next_at() if self._schedule is not None else None
        if due is not None:
            delay_s = (due - self._clock()).total_seconds()
            self._timer = self._loop.call_later(min(max(delay_s, 0.0), _LOOK_EVERY_S), self._look)

    def _look(self) -> None:
        if self._schedule is not None:
            for cron, at in self._schedule.due(self._clock()):
                self._on_due(cron, at)
            self._wait()
