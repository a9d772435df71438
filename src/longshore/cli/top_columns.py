"""The columns of ``longshore pool top``, and which of them have room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from longshore.cli.words import printable, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from longshore.cli.top_figures import PoolFigures

__all__ = ["VIEWS", "TopColumn", "fitting"]

_GAP: Final = 2
_MAX_CELL: Final = 60


@dataclass(frozen=True, slots=True)
class TopColumn:
    """One column.

    Args:
        heading: its name on the screen.
        rank: those with the highest number go first when there is no room.
        read: returns the text of a cell.
        key: returns what it is sorted by.
        is_text: aligned to the left.
    """

    heading: str
    rank: int
    read: Callable[[Any], str]
    key: Callable[[Any], Any]
    is_text: bool = False


def fitting(columns: Sequence[TopColumn], items: Sequence[object], width: int) -> list[TopColumn]:
    """Return the columns that have room, in their order; at least the first one."""
    kept = list(columns)
    widths = {
        column.heading: max([len(column.heading), *(min(len(column.read(item)), _MAX_CELL) for item in items)])
        for column in columns
    }
    while len(kept) > 1 and sum(widths[column.heading] + _GAP for column in kept) - _GAP > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def _number(heading: str, rank: int, read: Callable[[PoolFigures], float], form: str = "{:.0f}") -> TopColumn:
    return TopColumn(heading, rank, lambda item: form.format(read(item)), read)


def _ratio(pool: PoolFigures) -> str:
    return "-" if pool.hit_ratio is None else f"{pool.hit_ratio:.0%}"


POOLS: Final = (
    TopColumn("database", 0, lambda p: printable(p.database), lambda p: p.database, is_text=True),
    TopColumn("user", 8, lambda p: printable(p.user), lambda p: p.user, is_text=True),
    _number("active", 2, lambda p: p.active),
    _number("waiting", 1, lambda p: p.waiting),
    _number("idle", 9, lambda p: p.idle),
    _number("in tx", 7, lambda p: p.idle_in_transaction),
    _number("pinned", 6, lambda p: p.pinned),
    TopColumn("servers", 3, lambda p: f"{p.busy_servers}/{p.servers}/{p.size}", lambda p: p.busy_servers),
    _number("tx/s", 4, lambda p: p.transactions_per_s),
    _number("queries/s", 5, lambda p: p.queries_per_s),
    _number("wait ms", 10, lambda p: p.wait_ms, "{:.1f}"),
    _number("query ms", 11, lambda p: p.query_ms, "{:.2f}"),
    TopColumn("cache", 12, _ratio, lambda p: p.hit_ratio or 0.0),
    TopColumn("in/s", 13, lambda p: size(int(p.in_bytes_per_s)), lambda p: p.in_bytes_per_s),
    TopColumn("out/s", 14, lambda p: size(int(p.out_bytes_per_s)), lambda p: p.out_bytes_per_s),
)


def _line(text: str) -> str:
    """Return what came from a client so that it stays in its cell."""
    return printable(" ".join(text.split()))


def _of_row(name: str, rank: int, heading: str = "") -> TopColumn:
    def key(row: dict[str, str]) -> tuple[float, str]:
        text = row.get(name, "")
        try:
            return (float(text), "")
        except ValueError:
            return (0.0, text)

    is_text = name not in {"id", "client_id", "remote_pid", "server_pid", "state_seconds", "held_seconds", "port"}
    return TopColumn(heading or name, rank, lambda row: _line(row.get(name, "")), key, is_text)


VIEWS: Final[dict[str, tuple[TopColumn, ...]]] = {
    "pools": POOLS,
    "clients": (
        _of_row("id", 0),
        _of_row("database", 4),
        _of_row("user", 5),
        _of_row("state", 1),
        _of_row("state_seconds", 2, "for s"),
        _of_row("application_name", 3, "application"),
        _of_row("addr", 6),
        _of_row("port", 10),
        _of_row("link", 7, "server"),
        _of_row("pins", 8),
        _of_row("tls", 11),
        _of_row("prepared_statements", 9, "prepared"),
    ),
    "servers": (
        _of_row("id", 0),
        _of_row("database", 3),
        _of_row("user", 5),
        _of_row("state", 1),
        _of_row("state_seconds", 2, "for s"),
        _of_row("addr", 6),
        _of_row("port", 9),
        _of_row("remote_pid", 4, "pid"),
        _of_row("link", 7, "client"),
        _of_row("prepared_statements", 8, "prepared"),
        _of_row("tls", 10),
    ),
    "pins": (
        _of_row("client_id", 0, "client"),
        _of_row("database", 4),
        _of_row("user", 6),
        _of_row("reason", 1),
        _of_row("held_seconds", 2, "for s"),
        _of_row("application_name", 5, "application"),
        _of_row("statement", 3),
        _of_row("server_pid", 7, "pid"),
    ),
}
"""The columns of each view."""
