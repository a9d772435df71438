"""What drivers ask every server when they connect, answered (PURE): it must not break the connection.

Sources: libpq and JDBC (target_session_attrs), SQLAlchemy's PostgreSQL dialect (``initialize``), psycopg, asyncpg
(``Connection.reset``), pg8000, monitoring that says ``SELECT 1``.
"""

from __future__ import annotations

import re
from typing import Final

from longshore.pool.admin.commands import Constant

__all__ = ["HARMLESS_KEYS", "PARAMETERS", "SERVER_VERSION", "UTF8_NAMES", "answer"]

SERVER_VERSION: Final = "15.0 (Longshore)"
"""Drivers choose what they say by the number: one that all of them know."""

PARAMETERS: Final = {
    "server_version": SERVER_VERSION,
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "is_superuser": "off",
    "in_hot_standby": "off",
    "default_transaction_read_only": "off",
}
"""What ParameterStatus tells at the login; SHOW answers them too."""

UTF8_NAMES: Final = frozenset({"utf8", "unicode", "default"})
HARMLESS_KEYS: Final = frozenset(
    {
        "application_name",
        "bytea_output",
        "characteristics",
        "client_encoding",
        "client_min_messages",
        "datestyle",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "extra_float_digits",
        "idle_in_transaction_session_timeout",
        "intervalstyle",
        "lock_timeout",
        "names",
        "search_path",
        "standard_conforming_strings",
        "statement_timeout",
        "time",
        "timezone",
        "transaction",
        "transaction_read_only",
    }
)
"""Of SET: they would change nothing here."""

_SHOWN: Final = {
    **{name.lower(): value for name, value in PARAMETERS.items()},
    "transaction_read_only": "off",
    "transaction isolation level": "read committed",
    "transaction_isolation": "read committed",
    "default_transaction_isolation": "read committed",
    "search_path": "public",
    "time zone": "UTC",
    "max_identifier_length": "63",
}
_VERSION: Final = f"PostgreSQL {SERVER_VERSION} admin database"
_SELECTED: Final = {
    "version": _VERSION,
    "current_database": "longshore",
    "current_catalog": "longshore",
    "current_schema": "public",
    "pg_is_in_recovery": "f",
    "pg_advisory_unlock_all": "",
}
_CALL: Final = re.compile(r"select (?:pg_catalog\.)?(\w+)(?: \( \))?(?: as (\w+))?")
_NUMBER: Final = re.compile(r"select (-?\d{1,18})(?: as (\w+))?")


def answer(text: str) -> Constant | None:
    """Return the answer to a question about the server; None when it is another one.

    Args:
        text: in small letters, with one space between words and symbols.
    """
    if text.startswith("show "):
        value = _SHOWN.get(text[5:])
        return None if value is None else Constant(text[5:].replace(" ", "_"), value, "SHOW")
    if (number := _NUMBER.fullmatch(text)) is not None:
        return Constant(number[2] or "?column?", int(number[1]), "SELECT 1")
    called = _CALL.fullmatch(text)
    if called is None or called[1] not in _SELECTED:
        return None
    return Constant(called[2] or called[1], _SELECTED[called[1]], "SELECT 1")
