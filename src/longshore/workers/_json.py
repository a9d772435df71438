"""JSON as ``Response.json()`` writes it: ``json.dumps``, and the values that rows of a database hold."""

from __future__ import annotations

import json
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["to_json"]


def to_json(data: Any) -> bytes:
    """Return ``data`` as JSON; dates are ISO 8601 text, ``Decimal`` and ``UUID`` are text.

    Raises:
        TypeError: a value has no JSON form.
    """
    return _encode(data).encode()


def _more(value: object) -> str:
    # A datetime is a date.
    if isinstance(value, (date, time)):
        return value.isoformat()
    # Text, because a float would silently lose digits.
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_encode = json.JSONEncoder(default=_more).encode
