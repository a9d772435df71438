"""The results of all databases of a process, and who asks for what just now (PURE: is told the time).

Rules: of all sessions that ask the same at the same time one asks the database, the others wait for its answer. An
answer is theirs if nothing of what it reads was written between its question and theirs. If there is none (an error,
a client that has gone), the next one asks.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.pool.cache.memory import Entry, MemoryStore
from longshore.pool.cache.question import Flight
from longshore.pool.cache.report import CacheReport, StatementTable
from longshore.pool.cache.versions import DatabaseVersions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from longshore.pool.cache.memory import Key
    from longshore.pool.cache.question import Question, Waiter
    from longshore.pool.cache.remote import Fetched, Remote

__all__ = ["DEFAULT_BYTES", "Found", "Look", "ReadCache"]

DEFAULT_BYTES: Final = 128 * 1024 * 1024
_MAX_OVERSIZED: Final = 1000


class Look(Enum):
    """What is to be done about a question."""

    HIT = auto()
    STALE = auto()
    """Answer, nobody else need do anything."""
    STALE_REFRESH = auto()
    """Answer, and ask the database for the next one."""
    WAIT = auto()
    LEAD = auto()
    """Ask the database; others may wait for the answer."""
    ALONE = auto()
    """Ask the database; the answer will be too long to be kept."""


Found: TypeAlias = "tuple[Look, Entry | Flight | None]"


class ReadCache:
    """One for each process.

    Args:
        clock: returns the time, in seconds from anywhere.
        max_bytes: of all results together.
        remote: where they are kept instead, for several machines.
    """

    def __init__(
        self, clock: Callable[[], float], max_bytes: int = DEFAULT_BYTES, *, remote: Remote | None = None
    ) -> None:
        self.clock = clock
        self.remote = remote
        self.memory = MemoryStore(max_bytes)
        self.statements = StatementTable()
        self.invalidations = 0
        self.is_suspended = False
        self._databases: dict[Hashable, DatabaseVersions] = {}
        self._flights: dict[Key, Flight] = {}
        self._oversized: OrderedDict[Key, float] = OrderedDict()

    def versions(self, database: Hashable) -> DatabaseVersions:
        """Return those of a database, the same for every pool of it."""
        found = self._databases.get(database)
        if found is None:
            found = self._databases[database] = DatabaseVersions()
        return found

    def suspend(self) -> None:
        """Answer nothing from memory: another process has clients of the same databases, and its writes are unknown."""
        self.is_suspended = self.remote is None

    def resume(self) -> None:
        """Go on, without anything from before; idempotent."""
        if self.is_suspended:
            self.is_suspended = False
            for versions in self._databases.values():
                versions.bump(None, changes_catalogue=True)

    # -- questions -------------------------------------------------------------------------------

    def look(self, question: Question, versions: DatabaseVersions, waiter: Waiter) -> Found:
        """Return an answer, or what to do for one."""
        now, key = self.clock(), question.key
        entry = self.memory.get(key)
        if entry is not None:
            if not self._is_valid(entry, question, versions):
                self.memory.drop(key)
            elif (age := now - entry.asked_at) < question.max_age_s:
                return Look.HIT, entry
            elif age < question.max_age_s + question.swr_s:
                return self._stale(key), entry
        return self._join(question, versions.snapshot(question.relations), waiter, now)

    def _stale(self, key: Key) -> Look:
        return Look.STALE if key in self._flights else Look.STALE_REFRESH

    def decide(self, question: Question, fetched: Fetched, waiter: Waiter) -> Found:
        """As ``look``, with what the remote store has said."""
        now = self.clock()
        if fetched.entry is not None and fetched.entry.versions == fetched.versions:
            age = now - fetched.entry.asked_at
            if age < question.max_age_s:
                return Look.HIT, fetched.entry
            if age < question.max_age_s + question.swr_s:
                return self._stale(question.key), fetched.entry
        return self._join(question, fetched.versions, waiter, now)

    @staticmethod
    def _is_valid(entry: Entry, question: Question, versions: DatabaseVersions) -> bool:
        if entry.relations != question.relations:
            return False  # what a name means has changed outside
        if entry.clock != versions.clock:
            if entry.versions != versions.snapshot(entry.relations):
                return False
            entry.clock = versions.clock
        return True

    def _join(self, question: Question, snapshot: tuple[object, ...], waiter: Waiter, now: float) -> Found:
        key = question.key
        flight = self._flights.get(key)
        if flight is not None and flight.versions == snapshot and now - flight.asked_at < question.max_age_s:
            flight.waiters.append(waiter)
            return Look.WAIT, flight
        until = self._oversized.get(key)
        if until is not None and now < until:
            return Look.ALONE, None
        return Look.LEAD, self._begin(key, snapshot, now)

    def begin_refresh(self, question: Question, entry: Entry) -> Flight:
        """Note that somebody asks for a newer result than this one, which is valid."""
        return self._begin(question.key, entry.versions, self.clock())

    def _begin(self, key: Key, snapshot: tuple[object, ...], now: float) -> Flight:
        # One that is outdated already lands for those who wait for it, and for nobody else.
        flight = self._flights[key] = Flight(key, snapshot, now)
        return flight

    # -- answers ---------------------------------------------------------------------------------

    def landed(
        self, flight: Flight, question: Question, versions: DatabaseVersions, answer: tuple[bytes, bytes]
    ) -> None:
        """Take an answer: keep it if it still holds, and give it to those who wait."""
        self._end(flight)
        entry = Entry(*answer, question.relations, flight.versions, flight.asked_at)
        if self.remote is not None:
            # Whether it still holds its readers see by its versions.
            self.remote.store(entry, flight.key, question.max_age_s + question.swr_s, self.clock() - entry.asked_at)
        elif versions.snapshot(question.relations) == flight.versions:
            self.memory.put(flight.key, entry)
        waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            waiter.serve(entry)

    def oversized(self, flight: Flight, for_s: float) -> None:
        """Take that the answer is too long to be kept: waiting for it makes no sense."""
        self._end(flight)
        self._oversized[flight.key] = self.clock() + for_s
        if len(self._oversized) > _MAX_OVERSIZED:
            self._oversized.popitem(last=False)
        waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            waiter.go_alone()

    def failed(self, flight: Flight) -> None:
        """Take that there will be no answer: the next one asks, the others wait for that."""
        is_current = self._end(flight)
        waiters, flight.waiters = flight.waiters, []
        if not waiters:
            return
        first, *rest = waiters
        if not is_current:
            for waiter in waiters:
                waiter.go_alone()
            return
        # Versions from before are never wrong, at worst the result is not kept.
        following = self._begin(flight.key, flight.versions, self.clock())
        following.waiters = rest
        first.lead(following)

    def leave(self, flight: Flight, waiter: Waiter) -> None:
        """Wait no longer."""
        if waiter in flight.waiters:
            flight.waiters.remove(waiter)

    def _end(self, flight: Flight) -> bool:
        if self._flights.get(flight.key) is not flight:
            return False
        del self._flights[flight.key]
        return True

    # -- about it --------------------------------------------------------------------------------

    def report(self) -> CacheReport:
        """Return how it is."""
        memory, remote = self.memory, self.remote
        return CacheReport(
            store="memory" if remote is None else remote.name,
            is_available=remote is None or remote.is_available,
            entries=len(memory) if remote is None else None,
            used_bytes=memory.used_bytes if remote is None else None,
            max_bytes=memory.max_bytes if remote is None else None,
            evictions=memory.evictions,
            invalidations=self.invalidations,
            store_failures=0 if remote is None else remote.failures,
            waiting=sum(len(flight.waiters) for flight in self._flights.values()),
            statements=self.statements.rows(),
        )
