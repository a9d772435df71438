"""How often each relation of a database was written to through the pool (PURE).

A reader notes the versions of all that it reads *before* its query is sent; its result holds while they are the same.
A writer moves them on when the database has confirmed and before its client hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DatabaseVersions", "Snapshot"]

Snapshot: TypeAlias = "tuple[object, ...]"
"""The version of the database as a whole, and those of the relations in the order of their ids."""


class DatabaseVersions:
    """Of one database, whoever logs in to it."""

    def __init__(self) -> None:
        self.clock = 0
        """Grows with every change below."""
        self._everything = 0
        self._relations: dict[int, int] = {}
        self.on_catalogue_change: list[Callable[[], None]] = []
        """Called when what names mean may have changed."""

    def snapshot(self, relations: frozenset[int]) -> Snapshot:
        """Return the versions that count for a reader of these."""
        get = self._relations.get
        return (self._everything, *(get(oid, 0) for oid in sorted(relations)))

    def bump(self, relations: frozenset[int] | None, *, changes_catalogue: bool = False) -> None:
        """Note a write; None: to anything."""
        self.clock += 1
        if relations is None or changes_catalogue:
            self._everything += 1
            # What was noted under the old one counts no more: no relation needs its number to be told apart.
            self._relations.clear()
        else:
            for oid in relations:
                self._relations[oid] = self._relations.get(oid, 0) + 1
        if changes_catalogue:
            for tell in self.on_catalogue_change:
                tell()
