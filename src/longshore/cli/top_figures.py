"""What ``longshore pool top`` shows, computed from what the admin database says at two moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.pool.admin.client import AdminAnswer

__all__ = ["COMMANDS", "PoolFigures", "Sample", "pool_figures"]

COMMANDS: Final = {"pools": "SHOW POOLS", "clients": "SHOW CLIENTS", "servers": "SHOW SERVERS", "pins": "SHOW PINS"}
"""View → what it asks for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Answers of one moment."""

    at: float
    """Monotonic clock, in seconds."""
    pools: AdminAnswer
    rows: AdminAnswer = field(default_factory=list)
    """Of the view, when that is not the pools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """One pool, over the time between two samples."""

    database: str
    user: str
    active: int
    waiting: int
    idle: int
    idle_in_transaction: int
    pinned: int
    servers: int
    busy_servers: int
    size: int
    transactions_per_s: float
    queries_per_s: float
    wait_ms: float
    """On the average of those who waited; at least what the one has waited that waits longest now."""
    query_ms: float
    hit_ratio: float | None
    """None: the cache was not asked for anything."""
    in_bytes_per_s: float
    out_bytes_per_s: float
    is_paused: bool
    last_error: str


def pool_figures(before: Sample, now: Sample) -> list[PoolFigures]:
    """Return the figures of each pool.

    Args:
        before: an earlier sample; of a pool that was not there yet everything counts.
        now: a later one.
    """
    former = {(row["database"], row["user"]): row for row in before.pools}
    seconds = max(now.at - before.at, 1e-3)
    return [_figures(former.get((row["database"], row["user"]), {}), row, seconds) for row in now.pools]


def _figures(before: dict[str, str], row: dict[str, str], seconds: float) -> PoolFigures:
    def grown(name: str) -> int:
        # A pool that was restarted counts from zero.
        return max(_int(row, name) - _int(before, name), 0)

    queries, waits, reads = grown("query_count"), grown("wait_count"), grown("cache_reads")
    waited_ms = grown("wait_time") / waits / 1e3 if waits else 0.0
    servers = sum(_int(row, name) for name in ("sv_active", "sv_idle", "sv_tested", "sv_login"))
    return PoolFigures(
        database=row["database"],
        user=row["user"],
        active=_int(row, "cl_running"),
        waiting=_int(row, "cl_waiting"),
        idle=_int(row, "cl_idle"),
        idle_in_transaction=_int(row, "cl_idle_in_transaction"),
        pinned=_int(row, "cl_pinned"),
        servers=servers,
        busy_servers=_int(row, "sv_active"),
        size=_int(row, "size"),
        transactions_per_s=grown("xact_count") / seconds,
        queries_per_s=queries / seconds,
        wait_ms=max(waited_ms, _int(row, "max_wait_time") / 1e3),
        query_ms=grown("query_time") / queries / 1e3 if queries else 0.0,
        hit_ratio=grown("cache_hits") / reads if reads else None,
        in_bytes_per_s=grown("bytes_received") / seconds,
        out_bytes_per_s=grown("bytes_sent") / seconds,
        is_paused=row.get("paused") == "1",
        last_error=row.get("last_error", ""),
    )


def _int(row: dict[str, str], name: str) -> int:
    text = row.get(name) or "0"
    return int(text) if text.lstrip("-").isdecimal() else 0
