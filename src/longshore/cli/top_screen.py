"""What ``longshore pool top`` draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from longshore.cli.top_columns import VIEWS, fitting
from longshore.cli.top_figures import PoolFigures, pool_figures
from longshore.cli.words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from longshore.cli.top_columns import TopColumn
    from longshore.cli.top_figures import Sample

__all__ = ["KEYS", "TopState", "draw", "draw_table", "items_of"]

KEYS: Final = "q quit  d pools  c clients  s servers  i pins  o sort  r reverse  p hold"
_VIEW_KEYS: Final = {"d": "pools", "c": "clients", "s": "servers", "i": "pins"}
_FRAME_LINES: Final = 4
"""Above and below the rows."""


@dataclass(slots=True)
class TopState:
    """What a person has chosen."""

    view: str = "pools"
    sort: int = -1
    """The number of a column; -1: as the pool says it."""
    is_reversed: bool = False
    is_held: bool = False
    problem: str = ""
    """Why there is nothing new."""

    def press(self, key: str) -> bool:
        """Take a key; False ends the program."""
        if key in ("q", "Q", "\x03", "\x04"):
            return False
        if key in _VIEW_KEYS and self.view != _VIEW_KEYS[key]:
            self.view, self.sort, self.is_reversed = _VIEW_KEYS[key], -1, False
        elif key == "o":
            self.sort = self.sort + 1 if self.sort + 1 < len(VIEWS[self.view]) else -1
        elif key == "r":
            self.is_reversed = not self.is_reversed
        elif key == "p":
            self.is_held = not self.is_held
        return True


def items_of(state: TopState, before: Sample, now: Sample) -> list[Any]:
    """Return the rows of a view, sorted."""
    items: list[Any] = pool_figures(before, now) if state.view == "pools" else list(now.rows)
    if state.sort >= 0:
        # Texts from A, numbers from the highest: who is at the top is who is looked for.
        column = VIEWS[state.view][state.sort]
        items.sort(key=column.key, reverse=not column.is_text)
    return items[::-1] if state.is_reversed else items


def draw(state: TopState, before: Sample, now: Sample, *, url: str, width: int, height: int) -> RenderableType:
    """Return the whole screen."""
    pools = pool_figures(before, now)
    room = max(height - _FRAME_LINES, 1)
    items = items_of(state, before, now)
    parts: list[RenderableType] = [_head(state, pools, url, width), draw_table(state, items[:room], width)]
    if not items:
        parts.append(_cut(Text(f"no {state.view}", style="dim"), width))
    elif len(items) > room:
        parts.append(_cut(Text(f"and {len(items) - room} more", style="dim"), width))
    parts.append(_foot(state, pools, width))
    return Group(*parts)


def draw_table(state: TopState, items: Sequence[Any], width: int) -> Table:
    """Return the rows as a table, without the columns that have no room."""
    columns = VIEWS[state.view]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, collapse_padding=True)
    kept = fitting(columns, items, width)
    for column in kept:
        is_sorted = state.sort >= 0 and columns[state.sort] is column
        style = "bold underline" if is_sorted else "bold"
        heading = Text(column.heading, style=style)
        table.add_column(heading, justify="left" if column.is_text else "right", no_wrap=True, overflow="ellipsis")
    for item in items:
        table.add_row(*(_cell(column, item) for column in kept))
    return table


def _cell(column: TopColumn, item: Any) -> Text:
    text = column.read(item)
    is_bad = (column.heading == "waiting" and text != "0") or text in ("waiting", "idle in transaction")
    return Text(text, style="yellow" if is_bad else "")


def _head(state: TopState, pools: Sequence[PoolFigures], url: str, width: int) -> Text:
    clients = sum(p.active + p.waiting + p.idle + p.idle_in_transaction + p.pinned for p in pools)
    waiting = sum(p.waiting for p in pools)
    rate = sum(p.transactions_per_s for p in pools)
    text = f"{url}  {clients} clients, {waiting} waiting, {rate:.0f} tx/s" + ("  held" if state.is_held else "")
    return _cut(Text(printable(text), style="bold"), width)


def _foot(state: TopState, pools: Sequence[PoolFigures], width: int) -> Text:
    """Return what is wrong, or the keys."""
    if state.problem:
        return _cut(Text(printable(state.problem), style="red"), width)
    for pool in pools:
        if pool.last_error:
            return _cut(Text(printable(f"{pool.database}: {pool.last_error}"), style="red"), width)
        if pool.is_paused:
            return _cut(
                Text(printable(f"{pool.database} is paused: RESUME in the admin database"), style="yellow"), width
            )
    return _cut(Text(KEYS, style="dim"), width)


def _cut(text: Text, width: int) -> Text:
    text.truncate(max(width, 1), overflow="ellipsis")
    return text
