"""What the read cache says about itself (PURE values): the admin view and the metrics show it."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.pool.cache.model import Reason

__all__ = ["CacheReport", "StatementReport", "StatementTable"]

_MAX_STATEMENTS: Final = 500
_MAX_TEXT_CHARS: Final = 1000
_HITS: Final = ("hit", "stale", "shared")


@dataclass(slots=True)
class StatementReport:
    """What became of the reads with one text (comments removed)."""

    database: str
    text: str
    reasons: Counter[str] = field(default_factory=Counter)
    """Reads by ``Reason.value``."""
    hit_bytes: int = 0
    """Sent to clients out of the cache."""
    ignored: str = ""
    """The last part of a ``longshore:`` comment that was not understood, and why."""

    @property
    def reads(self) -> int:
        """All of them."""
        return self.reasons.total()

    @property
    def hits(self) -> int:
        """Those that did not ask the database."""
        return sum(self.reasons[each] for each in _HITS)

    @property
    def hit_ratio(self) -> float:
        """Hits of all reads, 0 to 1."""
        return self.hits / self.reads if self.reads else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """The state of a cache."""

    store: str
    """``"memory"``, or the address of the shared store without its password."""
    is_available: bool
    """False while the shared store does not answer: then reads go to the database."""
    entries: int | None
    """None where the store alone knows."""
    used_bytes: int | None
    max_bytes: int | None
    evictions: int
    invalidations: int
    """Writes after which something kept was no longer valid, whether there was anything or not."""
    store_failures: int
    waiting: int
    """Sessions that wait for the answer to somebody else's question."""
    statements: tuple[StatementReport, ...]
    """The texts that were read last, by the number of reads, most first."""


class StatementTable:
    """Counts by text, bounded: what was not read for longest is forgotten."""

    def __init__(self, max_statements: int = _MAX_STATEMENTS) -> None:
        self._rows: OrderedDict[tuple[str, str], StatementReport] = OrderedDict()
        self._max_statements = max_statements

    def note(self, database: str, text: str, reason: Reason, hit_bytes: int = 0, ignored: str = "") -> None:
        """Count a read."""
        key = (database, text[:_MAX_TEXT_CHARS])
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = StatementReport(*key)
            if len(self._rows) > self._max_statements:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(key)
        row.reasons[reason.value] += 1
        row.hit_bytes += hit_bytes
        if ignored:
            row.ignored = ignored

    def rows(self) -> tuple[StatementReport, ...]:
        """Return all, by the number of reads, most first."""
        return tuple(sorted(self._rows.values(), key=lambda row: -row.reads))
