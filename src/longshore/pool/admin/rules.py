"""Numbers that SET changes while the pool runs (PURE)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.commands import AdminError
from longshore.pool.admin.show_process import ConfigItem
from longshore.pool.slots.model import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from longshore.pool.model import Database

__all__ = ["KEYS", "changed", "rule_items"]

_DEFAULTS: Final = Rules()

_HINT: Final = "SHOW CONFIG lists the keys; write SET key = value, or SET database.key = value for one database"
_MAX_COUNT: Final = 1_000_000
_MAX_S: Final = 7 * 24 * 3600.0


def _count(text: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text[:10]) <= _MAX_COUNT:
        raise ValueError(f"a whole number from {least} to {_MAX_COUNT:,}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MAX_S:
        raise ValueError(f"a number of seconds above 0, at most {_MAX_S:,.0f}")
    return value


KEYS: Final[dict[str, Callable[[Database, str], Database]]] = {
    "size": lambda d, text: replace(d, rules=replace(d.rules, size=_count(text, 1))),
    "min_idle": lambda d, text: replace(d, rules=replace(d.rules, min_idle=_count(text, 0))),
    "max_waiting": lambda d, text: replace(d, rules=replace(d.rules, max_waiting=_count(text, 0))),
    "wait_timeout_s": lambda d, text: replace(d, rules=replace(d.rules, wait_timeout_s=_seconds(text))),
    "idle_timeout_s": lambda d, text: replace(d, rules=replace(d.rules, idle_timeout_s=_seconds(text))),
}
"""The names are those of the configuration file."""


def rule_items(databases: Iterable[Database]) -> list[ConfigItem]:
    """Return what SHOW CONFIG says of them."""
    return [
        ConfigItem(
            key=f"{database.name}.{key}",
            value=f"{getattr(database.rules, key):g}",
            default=f"{getattr(_DEFAULTS, key):g}",
            is_changeable=True,
        )
        for database in databases
        for key in KEYS
    ]


def changed(databases: Sequence[Database], key: str, value: str) -> list[Database]:
    """Return the databases with another number.

    Args:
        databases: as they are.
        key: ``size``, or ``app.size`` for the database ``app`` alone.
        value: as written.

    Raises:
        AdminError: there is no such key or database, or the value is none for it.
    """
    name, _, short = key.rpartition(".")
    change = KEYS.get(short)
    if change is None:
        raise AdminError("42704", f"SET does not know {key!r}", f"it knows {', '.join(KEYS)}; {_HINT}")
    if name and name not in {database.name for database in databases}:
        raise AdminError("3D000", f'database "{name}" does not exist', "SHOW DATABASES lists them")
    try:
        return [change(each, value) if name in ("", each.name) else each for each in databases]
    except ValueError as exc:
        raise AdminError("22023", f"{key} must be {exc}, not {value!r}") from exc
