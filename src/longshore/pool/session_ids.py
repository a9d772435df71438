"""Numbers of sessions: each is given once in a process (shell)."""

from __future__ import annotations

import itertools

__all__ = ["begin_session_ids_at", "new_session_id"]

_ids = itertools.count(1)


def new_session_id() -> int:
    """Return a number that no other session of this process has."""
    return next(_ids)


def begin_session_ids_at(first: int) -> None:
    """Give numbers from ``first`` on: those below may be in use in a process whose place this one takes."""
    global _ids  # noqa: PLW0603 - one row of numbers in a process
    _ids = itertools.count(first)
