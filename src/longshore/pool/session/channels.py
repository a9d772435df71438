"""Who listens to which channel, when one connection listens for all sessions of a pool (PURE).

A session *asks* for the channels that it wants from now on. What is asked is collected while a query is in flight, and
becomes one query to the server. Its answer says two things: the connection listens to these channels, and whatever was
sent before has been received. From then on, and not earlier, the session is told what comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.session.settings import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Channels", "listen_sql"]


def listen_sql(channels: Iterable[str]) -> str:
    """Return the statements that make a connection listen."""
    return ";".join(f"LISTEN {quote_identifier(each)}" for each in sorted(channels))


class Channels:
    """The sessions of a pool that listen."""

    def __init__(self) -> None:
        self._wanted: dict[int, frozenset[str]] = {}
        self._hearers: dict[str, set[int]] = {}
        self._listened: frozenset[str] = frozenset()
        self._waiting: dict[int, frozenset[str]] = {}
        self._asked: dict[int, frozenset[str]] = {}
        self._asks_for: frozenset[str] = frozenset()

    @property
    def sessions(self) -> tuple[int, ...]:
        """All that listen, or have asked for it."""
        return tuple({**self._wanted, **self._asked, **self._waiting})

    @property
    def is_empty(self) -> bool:
        """True when nobody needs the connection."""
        return not (self._wanted or self._asked or self._waiting)

    def ask(self, session_id: int, channels: frozenset[str]) -> None:
        """Take what a session wants; one question of a session at a time."""
        self._waiting[session_id] = channels

    def forget(self, session_id: int) -> None:
        """Take that a session is gone."""
        self._waiting.pop(session_id, None)
        self._asked.pop(session_id, None)
        self._settle(session_id, frozenset())

    def next_query(self) -> str:
        """Return what is to be sent now that nothing is in flight; empty when nobody asks.

        An empty statement does where nothing changes: its answer comes behind what was sent before.
        """
        if not self._waiting:
            return ""
        self._asked, self._waiting = self._waiting, {}
        self._asks_for = frozenset().union(*{**self._wanted, **self._asked}.values())
        parts = [f"UNLISTEN {quote_identifier(each)}" for each in sorted(self._listened - self._asks_for)]
        parts.append(listen_sql(self._asks_for - self._listened))
        return ";".join(filter(None, parts)) or ";"

    def answered(self, *, is_done: bool) -> list[int]:
        """Take the answer to the query; return who asked."""
        asked, self._asked = self._asked, {}
        if is_done:
            self._listened = self._asks_for
            for session_id, channels in asked.items():
                self._settle(session_id, channels)
        return list(asked)

    def hearers(self, channel: str) -> tuple[int, ...]:
        """Return who is to be told."""
        return tuple(self._hearers.get(channel, ()))

    def _settle(self, session_id: int, channels: frozenset[str]) -> None:
        for channel in self._wanted.pop(session_id, frozenset()) - channels:
            self._hearers[channel].discard(session_id)
            if not self._hearers[channel]:
                del self._hearers[channel]
        for channel in channels:
            self._hearers.setdefault(channel, set()).add(session_id)
        if channels:
            self._wanted[session_id] = channels
