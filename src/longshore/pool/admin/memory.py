"""How much memory the process has (shell)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.show_process import MemoryItem

if TYPE_CHECKING:
    from longshore.pool.inspection.model import Snapshot

__all__ = ["memory_items"]

_STATM: Final = Path("/proc/self/statm")


def memory_items(seen: Snapshot) -> list[MemoryItem]:
    """Return the rows of MEM."""
    prepared = sum(client.prepared for client in seen.clients)
    return [
        MemoryItem("process", 1, _resident_bytes()),
        MemoryItem("sessions", len(seen.clients), 0),
        MemoryItem("prepared_statements", prepared, 0),
        MemoryItem("cache", seen.cache_entries, seen.cache_bytes),
    ]


def _resident_bytes() -> int:
    """Return what the process has in memory; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
