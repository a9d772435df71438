"""When ``triggers.crons`` fire (PURE): times are given, in UTC.

A firing that was missed, because the host did not run, the machine slept or the clock jumped, is not made up for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MISSED_AFTER", "CronSchedule"]

MISSED_AFTER = timedelta(seconds=30)
"""A firing that comes later than this is missed: half of the shortest period, so that none is taken for the next."""


class CronSchedule:
    """The next firing of each expression.

    Args:
        crons: expressions of five fields that the configuration has checked; one that is given twice fires once.
        now: only firings after this count.
    """

    def __init__(self, crons: Iterable[str], now: datetime) -> None:
        self._crons = tuple(dict.fromkeys(crons))
        self._now = now
        self._next: dict[str, datetime | None] = {}
        self._begin(now)

    def next_at(self) -> datetime | None:
        """Return the time of the next firing; None when there is none, ever."""
        return min((at for at in self._next.values() if at is not None), default=None)

    def due(self, now: datetime) -> list[tuple[str, datetime]]:
        """Return the expressions that fire now, each with the time it stands for; what was missed is passed over."""
        if now < self._now - MISSED_AFTER:
            self._begin(now)  # the clock was set back: its times come again
        self._now = now
        return [(cron, at) for cron in self._crons if (at := self._fire(cron, now)) is not None]

    def _fire(self, cron: str, now: datetime) -> datetime | None:
        at = self._next[cron]
        if at is None or at > now:
            return None
        if at < now - MISSED_AFTER:
            at = _next_after(cron, now - MISSED_AFTER)
        self._next[cron] = _next_after(cron, now)
        return at if at is not None and at <= now else None

    def _begin(self, now: datetime) -> None:
        self._next = {cron: _next_after(cron, now) for cron in self._crons}


def _next_after(cron: str, now: datetime) -> datetime | None:
    try:
        return next(CronSim(cron, now.astimezone(UTC)))
    except StopIteration:
        return None
