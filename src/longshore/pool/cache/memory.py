"""Results in the memory of this process (PURE): bounded by their bytes, the longest unused goes first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from longshore.pool.cache.versions import Snapshot

__all__ = ["Entry", "Key", "MemoryStore"]

Key: TypeAlias = "tuple[object, ...]"

_OVERHEAD_BYTES: Final = 1000
"""Of the objects around a result, about."""


@dataclass(slots=True)
class Entry:
    """The answer to a read."""

    head: bytes
    """What answers Describe of the statement: in front of BindComplete."""
    tail: bytes
    """All behind it, up to CommandComplete or PortalSuspended."""
    relations: frozenset[int]
    versions: Snapshot
    """Of the relations, before the query was sent."""
    asked_at: float
    """When the query was sent."""
    clock: int = -1
    """Of the database, when the versions were last found to be the same."""

    @property
    def size(self) -> int:
        """How many bytes a client gets, without what is put in for each of them."""
        return len(self.head) + len(self.tail)


class MemoryStore:
    """One for each process.

    Args:
        max_bytes: of everything together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.evictions = 0
        self._entries: OrderedDict[Key, tuple[Entry, int]] = OrderedDict()

    def get(self, key: Key) -> Entry | None:
        """Return what is kept; it may be too old."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Key, entry: Entry) -> None:
        """Keep a result in the place of an older one."""
        self.drop(key)
        size = entry.size + _OVERHEAD_BYTES + sum(len(part) for part in key if isinstance(part, (bytes, str)))
        if size > self.max_bytes:
            return
        self._entries[key] = (entry, size)
        self.used_bytes += size
        while self.used_bytes > self.max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.used_bytes -= freed
            self.evictions += 1

    def drop(self, key: Key) -> None:
        """Keep it no longer; idempotent."""
        found = self._entries.pop(key, None)
        if found is not None:
            self.used_bytes -= found[1]

    def __len__(self) -> int:
        return len(self._entries)
