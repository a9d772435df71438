"""SQLSTATE codes that the pool answers with or branches on (PURE; manual: appendix "PostgreSQL Error Codes").

The names are the manual's condition names in capitals. The table is checked for duplicates when this is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CONDITIONS", "SQLSTATES", "condition_name", "is_class", "make_table"]

_CODE_LENGTH = 5

CONDITIONS: Final = (
    ("00000", "successful_completion"),
    ("01000", "warning"),
    ("08000", "connection_exception"),
    ("08001", "sqlclient_unable_to_establish_sqlconnection"),
    ("08003", "connection_does_not_exist"),
    ("08004", "sqlserver_rejected_establishment_of_sqlconnection"),
    ("08006", "connection_failure"),
    ("08P01", "protocol_violation"),
    ("0A000", "feature_not_supported"),
    ("22023", "invalid_parameter_value"),
    ("25001", "active_sql_transaction"),
    ("25P01", "no_active_sql_transaction"),
    ("25P02", "in_failed_sql_transaction"),
    ("25P03", "idle_in_transaction_session_timeout"),
    ("25P04", "transaction_timeout"),
    ("26000", "invalid_sql_statement_name"),
    ("28000", "invalid_authorization_specification"),
    ("28P01", "invalid_password"),
    ("34000", "invalid_cursor_name"),
    ("3D000", "invalid_catalog_name"),
    ("3F000", "invalid_schema_name"),
    ("40001", "serialization_failure"),
    ("40003", "statement_completion_unknown"),
    ("40P01", "deadlock_detected"),
    ("42501", "insufficient_privilege"),
    ("42601", "syntax_error"),
    ("42704", "undefined_object"),
    ("42P03", "duplicate_cursor"),
    ("42P05", "duplicate_prepared_statement"),
    ("53000", "insufficient_resources"),
    ("53200", "out_of_memory"),
    ("53300", "too_many_connections"),
    ("53400", "configuration_limit_exceeded"),
    ("54000", "program_limit_exceeded"),
    ("55000", "object_not_in_prerequisite_state"),
    ("55P02", "cant_change_runtime_param"),
    ("55P03", "lock_not_available"),
    ("57014", "query_canceled"),
    ("57P01", "admin_shutdown"),
    ("57P02", "crash_shutdown"),
    ("57P03", "cannot_connect_now"),
    ("57P04", "database_dropped"),
    ("57P05", "idle_session_timeout"),
    ("58000", "system_error"),
    ("58030", "io_error"),
    ("XX000", "internal_error"),
)
"""Code and condition name, in the order of the codes."""


def make_table(conditions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return name → code.

    Raises:
        ValueError: a code or a name stands there twice, or a code is not one.
    """
    table: dict[str, str] = {}
    for code, name in conditions:
        if len(code) != _CODE_LENGTH or not (code.isascii() and code.isalnum() and code == code.upper()):
            raise ValueError(f"SQLSTATE {code!r} of {name!r} is not five capital letters or digits")
        if name in table or code in table.values():
            raise ValueError(f"SQLSTATE {code!r} {name!r} is in the table twice")
        table[name] = code
    return table


SQLSTATES: Final = make_table(CONDITIONS)
_NAMES: Final = {code: name for name, code in SQLSTATES.items()}


def condition_name(code: str) -> str | None:
    """Return the manual's name of a code, or None when it is not one of ours."""
    return _NAMES.get(code)


def is_class(code: str, class_code: str) -> bool:
    """Return True when the code belongs to the class of two characters, like ``08``."""
    return code[:2] == class_code


ADMIN_SHUTDOWN: Final = SQLSTATES["admin_shutdown"]
CANNOT_CONNECT_NOW: Final = SQLSTATES["cannot_connect_now"]
CONNECTION_FAILURE: Final = SQLSTATES["connection_failure"]
FEATURE_NOT_SUPPORTED: Final = SQLSTATES["feature_not_supported"]
INVALID_AUTHORIZATION_SPECIFICATION: Final = SQLSTATES["invalid_authorization_specification"]
INVALID_CATALOG_NAME: Final = SQLSTATES["invalid_catalog_name"]
INVALID_PASSWORD: Final = SQLSTATES["invalid_password"]
INVALID_SQL_STATEMENT_NAME: Final = SQLSTATES["invalid_sql_statement_name"]
PROTOCOL_VIOLATION: Final = SQLSTATES["protocol_violation"]
QUERY_CANCELED: Final = SQLSTATES["query_canceled"]
TOO_MANY_CONNECTIONS: Final = SQLSTATES["too_many_connections"]
