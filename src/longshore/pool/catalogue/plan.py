"""What a statement reads, changes and leaves (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from longshore.pool.cache.model import Reason

__all__ = ["NOTHING", "OPAQUE", "Impact", "ReadPlan", "refused"]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A read whose result depends on these relations, its parameters and the session's settings, and nothing else."""

    relations: frozenset[int]
    """Object ids: tables (those behind views, all partitions and children), materialised views."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What comes of running something."""

    reason: Reason | None = None
    """Why its result must not be kept."""
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] | None = frozenset()
    """None: anything may have changed."""
    is_clean: bool = True
    """The code of users in it leaves nothing in the session."""

    def __or__(self, other: Impact) -> Impact:
        if other is NOTHING:
            return self
        if self is NOTHING:
            return other
        writes = None if self.writes is None or other.writes is None else self.writes | other.writes
        return Impact(self.reason or other.reason, self.reads | other.reads, writes, self.is_clean and other.is_clean)


NOTHING: Final = Impact()
OPAQUE: Final = Impact(Reason.VOLATILE, frozenset(), None, is_clean=False)
"""Of code into which nobody can look."""


def refused(reason: Reason) -> Impact:
    """Return the impact of what does nothing, but whose result must not be kept."""
    return Impact(reason)
