"""SHOW STATS and its parts, TOTALS and CACHE (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.table import Column, Table
from longshore.pool.admin.values import Type
from longshore.pool.cache.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.pool.cache.report import StatementReport
    from longshore.pool.inspection.model import CacheInfo
    from longshore.pool.statistics import Statistics

__all__ = [
    "CACHE",
    "CACHE_QUERIES",
    "STATS",
    "STATS_AVERAGES",
    "STATS_TOTALS",
    "TOTALS",
    "Counted",
    "Counter",
    "cache_lines",
    "total",
]

_TEXT, _INT, _FLOAT = Type.TEXT, Type.INT8, Type.FLOAT8


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted for one database, and for how long the averages are taken."""

    database: str
    now: Statistics
    before: Statistics
    """At the beginning of the period."""
    period_s: float


@dataclass(frozen=True, slots=True)
class Counter:
    """One number of ``Statistics`` and its names."""

    name: str
    what: str
    read: Callable[[Statistics], float]
    per: Callable[[Statistics], float] | None = None
    """What the average is of; None: of a second."""

    def total(self, counted: Counted) -> int:
        """Return it since the start."""
        return int(self.read(counted.now))

    def average(self, counted: Counted) -> int:
        """Return it over the period."""
        difference = self.read(counted.now) - self.read(counted.before)
        per = counted.period_s if self.per is None else self.per(counted.now) - self.per(counted.before)
        return int(difference / per) if per > 0 else 0


_COUNTERS: Final = (
    Counter("xact_count", "Transactions", lambda s: s.transactions),
    Counter("query_count", "Queries: Query messages, and Syncs of the extended protocol", lambda s: s.queries),
    Counter("received", "Bytes from clients", lambda s: s.client_bytes),
    Counter("sent", "Bytes from servers", lambda s: s.server_bytes),
    Counter(
        "xact_time",
        "Microseconds that server connections were with a client",
        lambda s: s.busy_s * 1e6,
        lambda s: s.transactions,
    ),
    Counter(
        "query_time",
        "Microseconds that servers worked for clients",
        lambda s: (s.busy_s - s.idle_in_transaction_s) * 1e6,
        lambda s: s.queries,
    ),
    Counter(
        "wait_time",
        "Microseconds that clients waited for a server connection",
        lambda s: s.wait_s * 1e6,
        lambda s: s.waited,
    ),
)
_AVERAGE_NAMES: Final = {"received": "recv"}
_PLAIN_NAMES: Final = {"received": "bytes_received", "sent": "bytes_sent"}
_DATABASE: Final[Column[Counted]] = Column("database", _TEXT, "As clients name it.", lambda c: c.database)


def _total(counter: Counter, name: str) -> Column[Counted]:
    return Column(name, _INT, f"{counter.what}, since the start.", counter.total)


def _average(counter: Counter, name: str) -> Column[Counted]:
    each = {"xact_time": "per transaction", "query_time": "per query", "wait_time": "per client that waited"}
    return Column(name, _INT, f"{counter.what}, {each.get(counter.name, 'per second')}.", counter.average)


_PERIOD: Final = (
    "Averages are over the time since somebody asked for them before, and over the last minute at least,"
    " as far as the pool has been running for so long."
)
_MORE: Final = (
    Counter("client_login_count", "Clients that logged in", lambda s: s.logins),
    Counter("server_login_count", "Server connections that were opened", lambda s: s.server_logins),
    Counter("server_login_failures", "Logins at the database that failed", lambda s: s.server_login_failures),
    Counter("wait_count", "Times that a client did not get a server connection at once", lambda s: s.waited),
    Counter("rejected_count", "Sessions that got no server connection", lambda s: s.rejected.total()),
    Counter("cancel_count", "Cancel requests", lambda s: s.cancels),
    Counter("pin_count", "Times that a session was tied to its server connection", lambda s: s.pins.total()),
    Counter("probe_count", "Times that a server was asked what a session left behind", lambda s: s.probes),
)

STATS: Final[Table[Counted]] = Table(
    "STATS",
    f"Counts and averages, one row per database. {_PERIOD}",
    (
        _DATABASE,
        *(_total(each, f"total_{each.name}") for each in _COUNTERS),
        *(_average(each, f"avg_{_AVERAGE_NAMES.get(each.name, each.name)}") for each in _COUNTERS),
        *(_total(each, f"total_{each.name}") for each in _MORE),
    ),
)
STATS_TOTALS: Final[Table[Counted]] = Table(
    "STATS_TOTALS",
    "The counts of SHOW STATS.",
    (
        _DATABASE,
        *(_total(each, _PLAIN_NAMES.get(each.name, each.name)) for each in _COUNTERS),
        *(_total(each, each.name) for each in _MORE),
    ),
)
STATS_AVERAGES: Final[Table[Counted]] = Table(
    "STATS_AVERAGES",
    "The averages of SHOW STATS.",
    (_DATABASE, *(_average(each, _PLAIN_NAMES.get(each.name, each.name)) for each in _COUNTERS)),
)


@dataclass(frozen=True, slots=True)
class Named:
    """A name and a value."""

    name: str
    value: int


TOTALS: Final[Table[Named]] = Table(
    "TOTALS",
    "SHOW STATS of all databases together, one row per number.",
    (
        Column("name", _TEXT, "A column of SHOW STATS.", lambda n: n.name),
        Column("value", _INT, "Its value.", lambda n: n.value),
    ),
)


def total(counted: Counted) -> list[Named]:
    """Return the rows of TOTALS.

    Args:
        counted: of all databases together.
    """
    return [Named(column.name, int(column.read(counted) or 0)) for column in STATS.columns[1:]]


@dataclass(frozen=True, slots=True)
class CacheLine:
    """Reads of one pool with the same end."""

    info: CacheInfo
    reason: str
    reads: int

    @property
    def share(self) -> float:
        """Their part of all reads of the pool."""
        every = sum(self.info.reads.values())
        return round(self.reads / every, 4) if every else 0.0


CACHE: Final[Table[CacheLine]] = Table(
    "CACHE",
    "The read cache: for each pool one row per reason why a result came from where it came, `hit` first.",
    (
        Column("database", _TEXT, "As clients name it.", lambda c: c.info.database),
        Column("user", _TEXT, "The account that logs in at the database.", lambda c: c.info.user),
        Column("enabled", _INT, "1 when reads are cached.", lambda c: int(c.info.rules.is_enabled)),
        Column("reason", _TEXT, "`hit`, `miss`, or why it was not kept.", lambda c: c.reason),
        Column("reads", _INT, "How many, since the start.", lambda c: c.reads),
        Column("share", _FLOAT, "Their part of all reads of the pool, 0 to 1.", lambda c: c.share),
        Column("max_age_seconds", _FLOAT, "So old may a result be.", lambda c: c.info.rules.max_age_s),
        Column(
            "stale_seconds",
            _FLOAT,
            "So much longer is it given while one session fetches the new one.",
            lambda c: c.info.rules.stale_while_revalidate_s,
        ),
        Column(
            "catalogue_error",
            _TEXT,
            "Why the catalogue cannot be read; until it can, nothing is kept.",
            lambda c: c.info.catalogue_error,
        ),
    ),
)


def _reasons(report: StatementReport) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in report.reasons.most_common())


CACHE_QUERIES: Final[Table[StatementReport]] = Table(
    "CACHE_QUERIES",
    "What became of the reads with the same text, for the texts that were read last.",
    (
        Column("database", _TEXT, "As clients name it.", lambda q: q.database),
        Column("reads", _INT, "How many, since the start.", lambda q: q.reads),
        Column("hits", _INT, "How many of them needed no server connection.", lambda q: q.hits),
        Column("hit_ratio", _FLOAT, "Their part, 0 to 1.", lambda q: round(q.hit_ratio, 4)),
        Column("reasons", _TEXT, "How often each reason was, the most frequent first.", _reasons),
        Column("hit_bytes", _INT, "Bytes that clients got out of the cache.", lambda q: q.hit_bytes),
        Column("ignored", _TEXT, "What was not understood of its comment for the cache.", lambda q: q.ignored),
        Column("query", _TEXT, "The text, without comments.", lambda q: q.text),
    ),
)
_ORDER: Final = {reason.value: number for number, reason in enumerate(Reason)}


def cache_lines(infos: Iterable[CacheInfo]) -> list[CacheLine]:
    """Return the rows of CACHE: of a pool without reads one, with ``hit`` and 0."""
    lines: list[CacheLine] = []
    for info in infos:
        reasons = sorted(info.reads, key=lambda reason: _ORDER.get(reason, len(_ORDER))) or [Reason.HIT.value]
        lines.extend(CacheLine(info, reason, info.reads.get(reason, 0)) for reason in reasons)
    return lines
