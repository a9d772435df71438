"""What the database answers to Parse and Describe of reads (PURE).

Drivers that prepare a statement ask for its columns first, on every new connection. While the catalogue is the same
the answer is; a client to whom it was told is refused rows of another form later, as by ``Shape``.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KnownShape", "ShapeBook"]

_MAX_SHAPES: Final = 2000
_Key: TypeAlias = "tuple[object, ...]"


@dataclass(frozen=True, slots=True)
class KnownShape:
    """Of a statement that the database has parsed."""

    parameters: bytes
    """ParameterDescription."""
    rows: bytes
    """RowDescription."""
    epoch: int
    """Of the catalogue, before it was asked."""
    asked_at: float


class ShapeBook:
    """One for each pool."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shapes: OrderedDict[_Key, KnownShape] = OrderedDict()

    def find(self, key: _Key, epoch: int, max_age_s: float) -> KnownShape | None:
        """Return what is known of a statement and not outdated."""
        found = self._shapes.get(key)
        if found is None:
            return None
        if found.epoch != epoch or self._clock() - found.asked_at >= max_age_s:
            del self._shapes[key]
            return None
        self._shapes.move_to_end(key)
        return found

    def note(self, key: _Key, shape: KnownShape) -> None:
        """Remember it."""
        self._shapes[key] = shape
        if len(self._shapes) > _MAX_SHAPES:
            self._shapes.popitem(last=False)
