"""Build the errors and notices that we send ourselves (PURE; manual: Error and Notice Message Fields).

A pool speaks to people through these: ``message`` says what happened, ``detail`` the facts, ``hint`` what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from longshore.errors import ArgumentValueError
from longshore.proto.postgres.backend_messages import ErrorResponse, NoticeResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.proto.postgres.violation import ProtocolViolation

__all__ = [
    "ErrorSeverity",
    "FIELD_CODES",
    "NoticeSeverity",
    "error_response",
    "is_session_end",
    "notice_response",
    "violation_response",
]

ErrorSeverity: TypeAlias = Literal["ERROR", "FATAL", "PANIC"]
NoticeSeverity: TypeAlias = Literal["WARNING", "NOTICE", "DEBUG", "INFO", "LOG"]

FIELD_CODES: Final = {
    "severity": b"S",
    "severity_nonlocalized": b"V",
    "sqlstate": b"C",
    "message": b"M",
    "detail": b"D",
    "hint": b"H",
    "position": b"P",
    "internal_position": b"p",
    "internal_query": b"q",
    "where": b"W",
    "schema_name": b"s",
    "table_name": b"t",
    "column_name": b"c",
    "data_type_name": b"d",
    "constraint_name": b"n",
    "file": b"F",
    "line": b"L",
    "routine": b"R",
}
"""The manual's names and their letters; a frontend ignores letters that it does not know."""

_CODE_LENGTH = 5


def error_response(
    severity: ErrorSeverity, sqlstate: str, message: str, *, detail: str | None = None, hint: str | None = None
) -> ErrorResponse:
    """Return an ErrorResponse.

    Args:
        severity: ``FATAL`` ends the session, ``ERROR`` the statement.
        sqlstate: five characters, see ``sqlstate``.
        message: one line.
        detail: more facts, or None.
        hint: what to do, or None.

    Raises:
        ArgumentValueError: the code is not one.
    """
    return ErrorResponse(tuple(_fields(severity, sqlstate, message, detail, hint)))


def notice_response(
    severity: NoticeSeverity, sqlstate: str, message: str, *, detail: str | None = None, hint: str | None = None
) -> NoticeResponse:
    """Return a NoticeResponse; see ``error_response``.

    Raises:
        ArgumentValueError: the code is not one.
    """
    return NoticeResponse(tuple(_fields(severity, sqlstate, message, detail, hint)))


def violation_response(violation: ProtocolViolation) -> ErrorResponse:
    """Return what to answer a peer that broke the protocol."""
    return error_response("FATAL" if violation.is_fatal else "ERROR", violation.sqlstate, str(violation))


def is_session_end(error: ErrorResponse) -> bool:
    """Return True when the server ends the connection with this error."""
    return error.severity in ("FATAL", "PANIC")


def _fields(
    severity: str, sqlstate: str, message: str, detail: str | None, hint: str | None
) -> Iterable[tuple[bytes, bytes]]:
    if len(sqlstate) != _CODE_LENGTH or not sqlstate.isascii():
        raise ArgumentValueError(f"sqlstate must be five ASCII characters, got {sqlstate!r}")
    yield b"S", severity.encode()
    yield b"V", severity.encode()
    yield b"C", sqlstate.encode()
    for code, text in ((b"M", message), (b"D", detail), (b"H", hint)):
        if text is not None:
            # A NUL would end the field; what was quoted from a peer may hold one.
            yield code, text.replace("\0", "\\0").encode("utf-8", "replace")
