"""What the fast lane may take although there is a cache, and what it has to note then (PURE).

Reads whose text is not for the cache, and writes of which it is known what they write to: one statement without a
comment, judged by the same functions as in ``Desk`` and ``WriteNotes``. What was found out holds for one identity, one
state of the catalogue and one set of rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from longshore.pool.cache.model import Reason
from longshore.pool.cache.write_notes import may_change_path
from longshore.pool.cache.writes import PendingWrites
from longshore.sql.facts import Kind

if TYPE_CHECKING:
    from longshore.pool.cache.asking import Asking
    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.catalogue.catalogue import Catalogue
    from longshore.pool.session.core import SessionCore
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.sql.facts import TextFacts

__all__ = ["LanePass", "Verdict", "Verdicts"]

_MAX_KNOWN: Final = 5000
_KINDS: Final = frozenset({Kind.READ, Kind.WRITE, Kind.SHOW})


class Verdict(NamedTuple):
    """About a text that is not for the cache."""

    reason: Reason | None
    """Why the read is not; None: it is no read."""
    written: frozenset[int]


Verdicts = dict[int, "tuple[TextFacts, Verdict | None]"]
"""By the identity of the facts, which are kept so that no others can have it; None: it is for the engine."""


class LanePass:
    """Of one session.

    Args:
        session: whose.
        cache: of its pool.
        asking: what it asks.
    """

    def __init__(self, session: SessionCore, cache: PoolCache, asking: Asking) -> None:
        self._session = session
        self._cache = cache
        self._asking = asking
        self._known: Verdicts = {}
        self._known_for: tuple[object, object, object] = (None, None, None)
        self._catalogue: Catalogue | None = None
        self._written: frozenset[int] = frozenset()

    def take(self, facts: TextFacts, text: str) -> bool:
        """Return whether the lane may take a statement of a session at rest; what it is is counted."""
        session, cache = self._session, self._cache
        catalogue = session.shared.known_catalogue()
        if catalogue is None or cache.cache.is_suspended or not self._is_readable():
            return False
        known = self._verdicts(catalogue)
        found = known.get(id(facts))
        if found is None or found[0] is not facts:
            if len(known) >= _MAX_KNOWN:
                known.clear()
            found = known[id(facts)] = (facts, self._judge(facts, text, catalogue))
        verdict = found[1]
        if verdict is None or (verdict.written and cache.cache.remote is not None):
            return False  # the answer to a write waits until other machines know
        self._catalogue, self._written = catalogue, verdict.written
        if verdict.reason is not None:
            cache.outside.note(verdict.reason, text.strip(), 0, "")
        return True

    def send(self, memory: ServerMemory) -> bool:
        """Note what is about to be sent; False: what was known of the catalogue holds no more."""
        if self._session.shared.known_catalogue() is not self._catalogue:
            return False
        if self._written:
            if memory.writes is None:
                memory.writes = PendingWrites(self._session.shared.epoch)
            memory.writes.add(self._written)
        return True

    def finish(self, memory: ServerMemory) -> None:
        """Take that the database has confirmed, before the client hears of it."""
        writes = memory.writes
        if writes is not None:
            memory.writes = None
            self._cache.confirmed(writes, lambda: None)

    def _is_readable(self) -> bool:
        parameters = self._session.parameters
        is_standard = parameters.get(b"standard_conforming_strings", b"on") == b"on"
        return is_standard and parameters.get(b"client_encoding") == b"UTF8"

    def _verdicts(self, catalogue: Catalogue) -> Verdicts:
        identity, rules = self._asking.identity(), self._cache.rules
        known_for = self._known_for
        if known_for[0] is not identity or known_for[1] is not catalogue or known_for[2] is not rules:
            self._known_for = (identity, catalogue, rules)
            self._known = self._cache.verdicts((identity, self._asking.wish, rules), catalogue)
        return self._known

    def _judge(self, facts: TextFacts, text: str, catalogue: Catalogue) -> Verdict | None:
        statement, path = facts.single, self._asking.path(catalogue)
        if statement is None or statement.kind not in _KINDS or path is None or may_change_path(statement):
            return None
        if facts.changes_catalogue or "--" in text or "/*" in text:
            return None  # a comment may say something to the cache
        written = self._cache.written(facts, path)
        if written is None:
            return None
        if statement.kind is not Kind.READ:
            is_lock = statement.kind is Kind.WRITE and not statement.writes
            return Verdict(Reason.LOCKS_ROWS if is_lock else None, written)
        reason = self._asking.refusal(facts, statement, text)
        return Verdict(reason, written) if reason is not None else None
