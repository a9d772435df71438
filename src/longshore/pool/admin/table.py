"""How a table of SHOW is described (PURE): the same description makes its rows, its types on the wire and its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from longshore.pool.admin.values import Field, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.pool.admin.values import Row, Value

__all__ = ["Column", "Table", "micros", "of_second"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column."""

    name: str
    type: Type
    what: str
    """For the documentation, with the unit."""
    read: Callable[[T], Value]


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """What ``SHOW name`` gives."""

    name: str
    what: str
    columns: tuple[Column[T], ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """Names and types."""
        return tuple(Field(column.name, column.type) for column in self.columns)

    def rows(self, items: Iterable[T]) -> list[Row]:
        """Return one row for each item."""
        return [tuple(column.read(item) for column in self.columns) for item in items]


def micros(seconds: float) -> int:
    """Return whole microseconds."""
    return int(seconds * 1e6)


def of_second(seconds: float) -> int:
    """Return the microseconds behind the whole seconds."""
    return micros(seconds) % 1_000_000
