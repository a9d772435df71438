"""What clients send again and again, byte for byte (PURE): answered without taking it apart.

Only what names no statement of the session. Everything else that the answer depends on is looked at each time: who
asks, the catalogue, the rules, the versions, the age.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import Reason

if TYPE_CHECKING:
    from longshore.pool.cache.asking import Asking
    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.cache.question import Question
    from longshore.pool.cache.replies import Replies
    from longshore.pool.session.engine import SessionEngine

__all__ = ["Repeats"]

_MAX_BYTES: Final = 4096
_MAX_KNOWN: Final = 4096


class Repeats:
    """Of one session; what is known is shared by those of a pool.

    Args:
        session: whose.
        cache: of its pool.
        asking: who asks.
        replies: of the session.
    """

    def __init__(self, session: SessionEngine, cache: PoolCache, asking: Asking, replies: Replies) -> None:
        self._session = session
        self._cache = cache
        self._asking = asking
        self._replies = replies

    def answer(self, data: bytes) -> bytes | None:
        """Return the answer to a whole batch; None: it has to be looked at."""
        session, pool = self._session, self._cache
        key = self._key(data)
        question = pool.repeats.get(key)
        if question is None or self._asking.wish is not None or session.belongings.pins or session.channels:
            return None
        cache = pool.cache
        if cache.is_suspended:
            return None
        entry = cache.memory.get(question.key)
        # Versions that have to be compared one by one are for ``ReadCache.look``, which remembers that they are good.
        if entry is None or entry.clock != pool.versions.clock or entry.relations != question.relations:
            return None
        if cache.clock() - entry.asked_at >= question.max_age_s:
            return None
        pool.outside.note(Reason.HIT, question.text, entry.size, question.ignored)
        return self._replies.reply(question, entry)

    def note(self, question: Question) -> None:
        """Remember a batch that is about to be answered, if it is all that the client has sent."""
        session, batch, known = self._session, question.batch, self._cache.repeats
        has_name = batch.query is None and (batch.parse is None or bool(batch.parse.name))
        if has_name or len(session.inbox) != batch.frames or self._cache.cache.remote is not None:
            return
        data = b"".join(event.raw for event in islice(session.inbox, batch.frames))
        if len(data) <= _MAX_BYTES:
            if len(known) >= _MAX_KNOWN:
                known.clear()
            known[self._key(data)] = question

    def _key(self, data: bytes) -> tuple[object, ...]:
        # The catalogue decides what is read; whoever keeps the object itself cannot mistake it for another.
        catalogue = self._session.shared.known_catalogue()
        return (self._asking.identity(), catalogue, self._cache.rules, data)
