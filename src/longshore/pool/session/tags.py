"""What the pool's own requests are for (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.pool.session.prepared import Prepared
    from longshore.sql.facts import TextFacts

__all__ = ["AGAIN", "LISTEN_HERE", "PROBE", "RESTORE", "RETRY", "UNLISTEN_HERE", "Deallocating", "Replay", "Unread"]

RESTORE: Final = object()
"""Parameters are set."""
PROBE: Final = object()
"""It is asked what stayed behind."""
LISTEN_HERE: Final = object()
"""The server connection begins to listen as the session does."""
UNLISTEN_HERE: Final = object()
"""It stops."""
RETRY: Final = object()
"""A batch that failed ends; it is sent once more then."""

AGAIN: Final = object()
"""A batch of the fast lane has failed that was sent without its Parse; all of it is sent then."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A statement of SQL's PREPARE is made again."""

    name: str


@dataclass(slots=True)
class Deallocating:
    """The client's DEALLOCATE of a statement that has another name on the server."""

    name: bytes
    prepared: Prepared
    is_failed: bool = False


@dataclass(slots=True)
class Unread:
    """The client's text that our parser does not understand: it has done nothing if the server's does not either."""

    facts: TextFacts
    text: str
    is_syntax_error: bool = False
