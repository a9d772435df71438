"""What was counted in a period (PURE).

No timer: two states of the counts are kept, and the older one is at least a period old whenever somebody asks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.show_stats import Counted
from longshore.pool.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from longshore.pool.inspection.model import PoolInfo

__all__ = ["Averages", "added", "everything"]

_PERIOD_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Past:
    at: float
    statistics: dict[str, Statistics]


class Averages:
    """The past of the counts.

    Args:
        now: monotonic clock, in seconds, at the start.
    """

    def __init__(self, now: float) -> None:
        self._older = self._newer = _Past(now, {})

    def count(self, pools: Iterable[PoolInfo], now: float) -> list[Counted]:
        """Return what was counted for each database so far, and in the period that ends now."""
        present: dict[str, Statistics] = {}
        for pool in pools:
            present[pool.database] = added(present.get(pool.database, Statistics()), pool.statistics)
        older = self._older
        if now >= self._newer.at + _PERIOD_S:
            self._older, self._newer = self._newer, _Past(now, present)
            older = self._older
        period_s = now - older.at
        return [
            Counted(name, each, older.statistics.get(name, Statistics()), period_s) for name, each in present.items()
        ]


def everything(counted: Sequence[Counted]) -> Counted:
    """Return all databases together."""
    now, before = Statistics(), Statistics()
    for each in counted:
        now, before = added(now, each.now), added(before, each.before)
    return Counted("", now, before, max((each.period_s for each in counted), default=0.0))


def added(one: Statistics, other: Statistics) -> Statistics:
    """Return the sums."""
    sums = Statistics()
    for each in fields(Statistics):
        left, right = getattr(one, each.name), getattr(other, each.name)
        if isinstance(left, list):
            value = [a + b for a, b in zip(left, right, strict=True)]
        else:
            value = Counter(left) + right if isinstance(left, Counter) else left + right
        setattr(sums, each.name, value)
    return sums
