"""What is said once a minute, and about sessions that wait for long (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.pool.standalone.events import Figures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.statistics import Statistics

__all__ = ["Totals", "figures", "totals"]

_HITS = ("hit", "stale", "shared")


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over all pools at one moment."""

    transactions: int = 0
    queries: int = 0
    client_bytes: int = 0
    server_bytes: int = 0
    waited: int = 0
    wait_s: float = 0.0
    cache_hits: int = 0


def totals(all_statistics: Iterable[Statistics]) -> Totals:
    """Return the sums."""
    found = list(all_statistics)
    return Totals(
        transactions=sum(each.transactions for each in found),
        queries=sum(each.queries for each in found),
        client_bytes=sum(each.client_bytes for each in found),
        server_bytes=sum(each.server_bytes for each in found),
        waited=sum(each.waited for each in found),
        wait_s=sum(each.wait_s for each in found),
        cache_hits=sum(each.cache[hit] for each in found for hit in _HITS),
    )


def figures(
    before: Totals, now: Totals, seconds: float, *, clients: int, servers: int, waiting: int, pinned: int
) -> Figures:
    """Return the figures of the time between two moments.

    Args:
        before: at its begin.
        now: at its end.
        seconds: how long it was.
        clients: logged in now.
        servers: connections now.
        waiting: sessions that wait now.
        pinned: sessions that keep their server connection now.
    """
    waited = now.waited - before.waited
    return Figures(
        clients=clients,
        servers=servers,
        waiting=waiting,
        transactions_per_s=round((now.transactions - before.transactions) / seconds, 1),
        queries_per_s=round((now.queries - before.queries) / seconds, 1),
        in_bytes_per_s=round((now.client_bytes - before.client_bytes) / seconds, 1),
        out_bytes_per_s=round((now.server_bytes - before.server_bytes) / seconds, 1),
        wait_ms=round(1000 * (now.wait_s - before.wait_s) / waited, 3) if waited else 0.0,
        pinned=pinned,
        cache_hits=now.cache_hits - before.cache_hits,
    )
