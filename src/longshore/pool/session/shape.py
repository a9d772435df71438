"""What a client was told of a statement's parameters and columns (PURE).

A client that was told "one column, int4" reads four bytes. A statement that is parsed anew on another server connection
may have changed meanwhile; to run it for that client would be wrong without anybody noticing.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["CHANGED", "Shape"]

# Of a column: table, number in it, type, its size, modifier, format.
_COLUMN: Final = Struct("!IhIhih")
_ROW_DESCRIPTION: Final = ord("T")
_COLUMNS_AT: Final = 7

CHANGED: Final = ErrorResponse(
    (
        (b"S", b"ERROR"),
        (b"V", b"ERROR"),
        (b"C", b"0A000"),
        (b"M", b"cached plan must not change result type"),
        (b"F", b"plancache.c"),
        (b"R", b"RevalidateCachedQuery"),
    )
)
"""As PostgreSQL says it of a statement that it parsed itself; clients know it by its routine."""


@dataclass(slots=True)
class Shape:
    """Messages of the server, None what was never asked."""

    parameters: bytes | None = None
    """ParameterDescription."""
    rows: bytes | None = None
    """RowDescription or NoData."""

    def take(self, other: Shape) -> None:
        """Take over what is known."""
        self.parameters = other.parameters or self.parameters
        self.rows = other.rows or self.rows

    def knows(self, told: Shape) -> bool:
        """Return whether all that ``told`` has can be compared."""
        return (told.parameters is None or self.parameters is not None) and (told.rows is None or self.rows is not None)

    def may_fit(self, told: Shape) -> bool:
        """Return whether nothing is known that speaks against it."""
        return not self.knows(told) or self.fits(told)

    def fits(self, told: Shape) -> bool:
        """Return whether a client that was told ``told`` can read and write this."""
        if told.parameters is not None and told.parameters != self.parameters:
            return False
        if told.rows is None or told.rows == self.rows:
            return True
        return self.rows is not None and _columns(told.rows) == _columns(self.rows)


def _columns(raw: bytes) -> list[tuple[bytes, int, int]]:
    """Return name, type and modifier, which PostgreSQL compares too; origin and format may differ."""
    columns: list[tuple[bytes, int, int]] = []
    position = _COLUMNS_AT
    while raw[0] == _ROW_DESCRIPTION and position < len(raw):
        end = raw.index(0, position)
        _, _, type_oid, _, modifier, _ = _COLUMN.unpack_from(raw, end + 1)
        columns.append((raw[position:end], type_oid, modifier))
        position = end + 1 + _COLUMN.size
    return columns
