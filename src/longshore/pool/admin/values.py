"""Types and values of the admin database on the wire (PURE; manual: Data Types, Message Formats)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.proto.postgres.backend_messages import DataRow, FieldDescription, RowDescription

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BINARY", "TEXT", "Field", "Row", "Type", "Value", "data_row", "row_description"]

TEXT: Final = 0
BINARY: Final = 1

Value: TypeAlias = "str | int | float | None"
Row: TypeAlias = "tuple[Value, ...]"


class Type(Enum):
    """A type: its OID and its size, as in ``pg_type``."""

    TEXT = (25, -1)
    INT4 = (23, 4)
    INT8 = (20, 8)
    FLOAT8 = (701, 8)


_STRUCTS: Final = {Type.INT4: struct.Struct("!i"), Type.INT8: struct.Struct("!q"), Type.FLOAT8: struct.Struct("!d")}


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result."""

    name: str
    type: Type = Type.TEXT


def row_description(fields: Sequence[Field], formats: Sequence[int] = ()) -> RowDescription:
    """Return what is sent before the rows.

    Args:
        fields: the columns.
        formats: of Bind: none, one for all, or one each.
    """
    return RowDescription(
        tuple(
            FieldDescription(
                name=field.name.encode(), type_oid=field.type.value[0], type_size=field.type.value[1], format=form
            )
            for field, form in zip(fields, spread(formats, len(fields)), strict=True)
        )
    )


def data_row(fields: Sequence[Field], row: Row, formats: Sequence[int] = ()) -> DataRow:
    """Return one row."""
    forms = spread(formats, len(fields))
    cells = zip(fields, row, forms, strict=True)
    return DataRow(tuple(_encode(field.type, value, form) for field, value, form in cells))


def spread(formats: Sequence[int], count: int) -> Sequence[int]:
    """Return one format for each column."""
    if len(formats) == 1:
        return [formats[0]] * count
    return formats or [TEXT] * count


def _encode(kind: Type, value: Value, form: int) -> bytes | None:
    if value is None:
        return None
    if kind is Type.TEXT:
        # A NUL cannot be in a text of PostgreSQL; what was quoted from a client may hold one.
        return str(value).replace("\0", "\\0").encode("utf-8", "replace")
    number = float(value) if kind is Type.FLOAT8 else int(value)
    return _STRUCTS[kind].pack(number) if form == BINARY else repr(number).encode()
