"""A store that several machines share, as the cache sees it (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.cache.memory import Entry, Key
    from longshore.pool.cache.question import Question
    from longshore.pool.cache.versions import Snapshot

__all__ = ["Fetched", "Place", "Remote"]

Place = tuple[str, int, str]
"""Host, port, database."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the store said about a question."""

    versions: Snapshot
    """Of what it reads, now."""
    entry: Entry | None


class Remote(Protocol):
    """The store."""

    name: str
    """Its address without a password."""
    is_available: bool
    failures: int

    def fetch(self, question: Question, place: Place, on_done: Callable[[Fetched | None], None]) -> None:
        """Ask for a result and the versions; None: there was no answer in time."""

    def store(self, entry: Entry, key: Key, keep_s: float, spent_s: float) -> None:
        """Keep a result; ``spent_s`` have passed since it was asked for."""

    def publish(self, place: Place, written: frozenset[int] | None, on_done: Callable[[], None]) -> bool:
        """Tell of a write; False: nobody can be told now. Otherwise ``on_done`` is called, in the end."""
