"""The read cache as the sessions of one pool see it (PURE: is told the time, and how to do things later)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from longshore.pool.cache.desk import Desk
from longshore.pool.cache.shapes import ShapeBook
from longshore.sql.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.cache.lane_pass import Verdicts
    from longshore.pool.cache.model import CacheRules, Reason
    from longshore.pool.cache.question import Flight, Question
    from longshore.pool.cache.read_cache import ReadCache
    from longshore.pool.cache.writes import PendingWrites
    from longshore.pool.catalogue.catalogue import Catalogue
    from longshore.pool.catalogue.plan import ReadPlan
    from longshore.pool.session.engine import SessionEngine
    from longshore.pool.session.shared import PoolShared
    from longshore.sql.facts import Statement, TextFacts

    class Timer(Protocol):
        """Something that will be called."""

        def cancel(self) -> None:
            """Do not call it."""

    class Outside(Protocol):
        """What the cache cannot do itself."""

        def later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
            """Call something later."""

        def refresh(self, question: Question, flight: Flight) -> None:
            """Ask the database, in a session of its own; then ``ReadCache.landed`` or ``failed``."""

        def note(self, reason: Reason, text: str, hit_bytes: int, ignored: str) -> None:
            """Count a read."""

        def publish(self, written: frozenset[int] | None, on_done: Callable[[], None]) -> bool:
            """Tell other machines of a write; False: there are none. Otherwise ``on_done`` is called when they know."""


__all__ = ["Account", "PoolCache"]

_MAX_MEMOS: Final = 5000
_MAX_IDENTITIES: Final = 200
_IN_DOUBT_S: Final = (1.0, 10.0, 60.0)
_WRITES_NOTHING: Final = frozenset(
    {
        Kind.BEGIN,
        Kind.COMMIT,
        Kind.ROLLBACK,
        Kind.SAVEPOINT,
        Kind.SET,
        Kind.RESET,
        Kind.SHOW,
        Kind.PREPARE,
        Kind.DEALLOCATE,
        Kind.DISCARD,
        Kind.LISTEN,
        Kind.UNLISTEN,
        Kind.NOTIFY,
        Kind.CLOSE,
        Kind.LOCK,
    }
)
"""What they make visible was noted when it was written."""


class Account(NamedTuple):
    """Where a pool goes: two with the same account get the same answers."""

    place: tuple[str, int, str]
    """Host, port, database: two with the same place see the same rows."""
    user: str


class PoolCache:
    """One for each pool whose reads are cached.

    Args:
        cache: of the process.
        rules: of the database.
        name: of the database as clients know it, for the counts.
        account: where the pool goes, and as whom.
        shared: of the pool.
        outside: see there.
    """

    def __init__(
        self,
        cache: ReadCache,
        rules: CacheRules,
        *,
        name: str,
        account: Account,
        shared: PoolShared,
        outside: Outside,
    ) -> None:
        self.cache = cache
        self.rules = rules
        self.name = name
        self.account = account
        self.outside = outside
        self.versions = cache.versions(account.place)
        self.versions.on_catalogue_change.append(self._on_catalogue_change)
        self.shapes = ShapeBook(cache.clock)
        self.max_wait_s = 10.0
        """So long a session waits for the answer to somebody else's question."""
        self.max_query_bytes = 64 * 1024
        self.repeats: dict[tuple[object, ...], Question] = {}
        """See ``Repeats``."""
        self._shared = shared
        self._verdicts: dict[tuple[object, ...], Verdicts] = {}  # of texts that are not for the cache
        self._catalogue: Catalogue | None = None
        self._plans: dict[tuple[int, tuple[str, ...]], tuple[TextFacts, ReadPlan | Reason]] = {}
        self._written: dict[tuple[int, tuple[str, ...] | None, bool], tuple[TextFacts, frozenset[int] | None]] = {}

    def desk(self, session: SessionEngine) -> Desk:
        """Return where a session asks."""
        return Desk(session, self)

    def move(self, account: Account) -> None:
        """Go somewhere else from now on; what was kept of the other place stays there."""
        if account != self.account:
            self.close()
            self.account = account
            self.versions = self.cache.versions(account.place)
            self.versions.on_catalogue_change.append(self._on_catalogue_change)

    def close(self) -> None:
        """Hear of no change any more."""
        self.versions.on_catalogue_change.remove(self._on_catalogue_change)

    def _on_catalogue_change(self) -> None:
        self._shared.epoch += 1

    # -- what statements do ----------------------------------------------------------------------

    def plan(
        self, catalogue: Catalogue, facts: TextFacts, statement: Statement, path: tuple[str, ...]
    ) -> ReadPlan | Reason:
        """Return on what a read depends. Facts are shared by many texts, so what is found out is kept by them."""
        self._renew(catalogue)
        key = (id(facts), path)
        found = self._plans.get(key)
        if found is None or found[0] is not facts:
            found = self._plans[key] = (facts, catalogue.read_plan(statement, path))
            if len(self._plans) > _MAX_MEMOS:
                self._plans.clear()
        return found[1]

    def verdicts(self, key: tuple[object, ...], catalogue: Catalogue) -> Verdicts:
        """Return what is known of texts, for all sessions for which ``key`` is the same."""
        self._renew(catalogue)
        if len(self._verdicts) >= _MAX_IDENTITIES:
            self._verdicts.clear()
        return self._verdicts.setdefault(key, {})

    def written(
        self, facts: TextFacts, path: tuple[str, ...] | None, *, has_temporary: bool = False
    ) -> frozenset[int] | None:
        """Return what a text writes to; None: anything. Without a path every relation of a name counts."""
        catalogue = self._shared.known_catalogue()
        if catalogue is None:
            is_nothing = all(each.kind in _WRITES_NOTHING and not each.functions for each in facts.statements)
            return frozenset() if is_nothing else None
        self._renew(catalogue)
        key = (id(facts), path, has_temporary)
        found = self._written.get(key)
        if found is None or found[0] is not facts:
            found = self._written[key] = (facts, self._ask_written(catalogue, facts, path, has_temporary))
            if len(self._written) > _MAX_MEMOS:
                self._written.clear()
        return found[1]

    @staticmethod
    def _ask_written(
        catalogue: Catalogue, facts: TextFacts, path: tuple[str, ...] | None, has_temporary: bool
    ) -> frozenset[int] | None:
        relations: set[int] = set()
        for statement in facts.statements:
            if statement.kind in _WRITES_NOTHING and not statement.functions:
                continue
            written = catalogue.written(statement, path, has_temporary=has_temporary)
            if written is None:
                return None
            relations |= written
        return frozenset(relations)

    def _renew(self, catalogue: Catalogue) -> None:
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._plans.clear()
            self._written.clear()
            self._verdicts.clear()

    # -- writes ----------------------------------------------------------------------------------

    def confirmed(self, writes: PendingWrites, on_done: Callable[[], None]) -> bool:
        """Take that the database has confirmed writes, before anybody hears of it.

        Returns:
            Whether that must wait for ``on_done``: other machines are not told yet.
        """
        self.cache.invalidations += 1
        # A statement that waited for a lock of DDL did what that has made of it, and not what it was taken for.
        is_outdated = writes.epoch != self._shared.epoch or self._shared.changing
        written = None if writes.changes_catalogue or is_outdated else writes.written()
        self.versions.bump(written, changes_catalogue=writes.changes_catalogue)
        return self.outside.publish(written, on_done)

    def clear(self, on_done: Callable[[], None]) -> bool:
        """End all results of the database; return whether ``on_done`` is called when other machines know."""
        self.versions.bump(None)
        return self.outside.publish(None, on_done)

    def settled(self, writes: PendingWrites, *, is_in_doubt: bool) -> None:
        """Take that a transaction is over whose client will not hear how.

        Args:
            writes: what it may have written.
            is_in_doubt: nor do we: the database may confirm it at some later time.
        """
        self.confirmed(writes, _ignore)
        for delay_s in _IN_DOUBT_S if is_in_doubt else ():
            self.outside.later(delay_s, lambda: _ignore(self.confirmed(writes, _ignore)))


def _ignore(_: object = None) -> None:
    """Nobody waits for it."""
