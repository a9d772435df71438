"""What clients are told when the pool cannot serve them (PURE): an SQLSTATE, the facts, and what to do.

What the database itself said goes on unchanged, with a hint; drivers and people know its sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.inspection.usage import usage_hint, usage_sentence
from longshore.pool.slots.model import RejectReason
from longshore.proto.postgres.errors import error_response

if TYPE_CHECKING:
    from longshore.pool.inspection.usage import Usage
    from longshore.pool.servers.login_failed import LoginFailed
    from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["cannot_log_in", "disabled", "killed", "no_such_database", "rejection", "server_lost", "shutting_down"]

_MESSAGES: Final = {
    RejectReason.TIMED_OUT: "no server connection became free",
    RejectReason.TOO_MANY: "too many sessions wait for a server connection",
}
_HINTS: Final = {
    "28P01": "check user and password of this database in the pool's configuration",
    "28000": "check the user of this database in the pool's configuration, and the server's pg_hba.conf",
    "3D000": "check the name of the database in the pool's configuration, or create it",
    "53300": "the sizes of all pools together are more than the server's max_connections allow",
    "57P03": "wait until the database has started",
    "57P01": "wait until the database has started again",
}
"""For what a database says at a login, by its SQLSTATE."""
_NOBODY: Final = "check that the database runs, and that this machine may reach it"


def cannot_log_in(error: LoginFailed | None) -> ErrorResponse:
    """Return what to say when the pool cannot log in to the database.

    Args:
        error: of the last attempt.
    """
    if error is None:
        return error_response("FATAL", "08001", "the pool cannot log in to the database", hint=_NOBODY)
    said = error.error
    if said is None:
        return error_response("FATAL", "08001", f"the pool cannot log in to the database: {error}", hint=_NOBODY)
    hint = said.hint or _HINTS.get(said.sqlstate)
    detail = said.detail or "the database said so when the pool logged in"
    return error_response("FATAL", said.sqlstate or "08004", said.message, detail=detail, hint=hint)


def rejection(reason: RejectReason, waited_s: float, error: LoginFailed | None, usage: Usage | None) -> ErrorResponse:
    """Return what to tell a session that gets no server connection.

    Args:
        reason: why.
        waited_s: how long it waited.
        error: of the pool's last login, if that failed.
        usage: who has the connections.
    """
    if reason is RejectReason.CANNOT_LOG_IN or (error is not None and (usage is None or not usage.open)):
        return cannot_log_in(error)
    parts = [usage_sentence(usage)] if usage is not None else []
    if reason is RejectReason.TIMED_OUT:
        parts.append(f"this session waited {waited_s:.1f} s")
    if error is not None:
        parts.append(f"no more can be opened: {error}")
    return error_response(
        "FATAL",
        "53300",
        _MESSAGES[reason],
        detail="; ".join(parts) or None,
        hint=usage_hint(usage) if usage is not None and error is None else _HINTS.get("53300" if error else ""),
    )


def server_lost(error: ErrorResponse | None) -> ErrorResponse:
    """Return what to say when a server connection ends while a session has it.

    Args:
        error: what the database said last, if anything.
    """
    if error is not None:
        return error
    return error_response(
        "FATAL",
        "08006",
        "the database closed the connection",
        detail="it said nothing before; what was going on then may or may not have been committed",
        hint="connect again; the server's log says why it ended",
    )


def no_such_database(name: str) -> ErrorResponse:
    """Return what to say to who asks for a database that is not configured."""
    return error_response(
        "FATAL",
        "3D000",
        f'database "{name}" does not exist',
        detail="the pool's configuration has no database of that name, and none for every other name",
        hint="check the name in the client, or add it to the pool's configuration",
    )


def disabled(name: str) -> ErrorResponse:
    """Return what to say while a database lets nobody in."""
    return error_response(
        "FATAL",
        "57P03",
        f'database "{name}" is disabled',
        detail="an operator said DISABLE in the admin database",
        hint="try again later; ENABLE lets clients in again",
    )


def killed() -> ErrorResponse:
    """Return what to say to a client whose connection an operator closes."""
    return error_response(
        "FATAL",
        "57P01",
        "terminating connection due to administrator command",
        detail="an operator said KILL in the pool's admin database",
    )


def shutting_down() -> ErrorResponse:
    """Return what to say when the pool ends."""
    return error_response(
        "FATAL", "57P01", "the pool is shutting down", hint="connect again; if it stays away, start the pool"
    )
