"""What ``/proc`` knows of a process (shell, Linux)."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["first_child"]


def first_child(pid: int) -> int | None:
    """Return the oldest living child of a process, which made it from its main thread; None when that is not known."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    # proc(5): the list is only sure to be complete when nothing changes meanwhile.
    return int(children[0]) if children else _searched(pid)


def _searched(parent: int) -> int | None:
    found = (int(entry) for entry in os.listdir("/proc") if entry.isdecimal())
    return min((pid for pid in found if _parent_of(pid) == parent), default=None)


def _parent_of(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program stands in parentheses and may hold anything.
    return int(text.rpartition(")")[2].split()[1])
