"""Every table that SHOW knows (PURE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from longshore.pool.admin.averages import everything
from longshore.pool.admin.show_connections import CLIENTS, PINS, SERVERS, SOCKETS, Link
from longshore.pool.admin.show_pools import DATABASES, POOLS
from longshore.pool.admin.show_process import (
    CONFIG,
    HELP_TABLE,
    LISTS,
    MEM,
    USERS,
    VERSION,
    ConfigItem,
    MemoryItem,
    help_lines,
    list_items,
)
from longshore.pool.admin.show_stats import (
    CACHE,
    CACHE_QUERIES,
    STATS,
    STATS_AVERAGES,
    STATS_TOTALS,
    TOTALS,
    Counted,
    cache_lines,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from longshore.pool.admin.table import Table
    from longshore.pool.admin.values import Row
    from longshore.pool.inspection.model import ClientInfo, ServerInfo, Snapshot

__all__ = ["SHOWS", "View", "show"]


@dataclass(frozen=True, slots=True)
class View:
    """Everything that can be shown, at one moment."""

    seen: Snapshot
    version: str
    epoch_s: float
    """The time of day, in seconds since 1970."""
    counted: Sequence[Counted] = ()
    """By database."""
    config: Sequence[ConfigItem] = ()
    users: Sequence[str] = ()
    memory: Sequence[MemoryItem] = field(default_factory=tuple)

    def links(self, infos: Iterable[ClientInfo | ServerInfo]) -> list[Link]:
        """Return connections with what their ages are counted from."""
        return [Link(info, self.epoch_s) for info in infos]


@dataclass(frozen=True, slots=True)
class _Shown:
    table: Table[Any]
    items: Callable[[View], Iterable[Any]]


_ALL: Final = (
    _Shown(HELP_TABLE, lambda _: help_lines(each.table for each in SHOWS.values())),
    _Shown(VERSION, lambda view: [view.version]),
    _Shown(DATABASES, lambda view: view.seen.databases),
    _Shown(POOLS, lambda view: view.seen.pools),
    _Shown(CLIENTS, lambda view: view.links(view.seen.clients)),
    _Shown(SERVERS, lambda view: view.links(view.seen.servers)),
    _Shown(SOCKETS, lambda view: view.links((*view.seen.clients, *view.seen.servers))),
    _Shown(PINS, lambda view: view.seen.pins),
    _Shown(STATS, lambda view: view.counted),
    _Shown(STATS_TOTALS, lambda view: view.counted),
    _Shown(STATS_AVERAGES, lambda view: view.counted),
    _Shown(TOTALS, lambda view: total(everything(view.counted))),
    _Shown(CACHE, lambda view: cache_lines(view.seen.caches)),
    _Shown(CACHE_QUERIES, lambda view: view.seen.cached_statements),
    _Shown(CONFIG, lambda view: view.config),
    _Shown(USERS, lambda view: view.users),
    _Shown(LISTS, lambda view: list_items(view.seen, len(view.users))),
    _Shown(MEM, lambda view: view.memory),
)
SHOWS: Final[dict[str, _Shown]] = {each.table.name: each for each in _ALL}
"""By what is written behind SHOW."""


def show(name: str, view: View) -> list[Row]:
    """Return the rows of a table."""
    shown = SHOWS[name]
    return shown.table.rows(shown.items(view))
