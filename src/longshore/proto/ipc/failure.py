"""``Failure``: a ``SocketError`` as it crosses a channel (PURE)."""

from __future__ import annotations

import os
from typing import Final

import msgspec

from longshore.errors import (
    ConnectAttempt,
    ConnectError,
    ConnectTimeout,
    LimitExceeded,
    PolicyDenied,
    ResetError,
    ResolveError,
    SocketError,
    TlsError,
    UsageError,
)

__all__ = ["RULE_OF_HOST", "Attempt", "Failure", "failure_of", "to_error"]

RULE_OF_HOST: Final = "set by the host"
"""What stands for the rule of a ``PolicyDenied`` in a worker."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ``ConnectAttempt``."""

    address: str
    elapsed_s: float
    errno: int | None = None
    text: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ``to_error`` needs to make the error again. A denied worker is not told the rule."""

    kind: str
    """Name of the class in ``longshore.errors``."""
    message: str
    address: str | None = None
    during: str | None = None
    attempts: tuple[Attempt, ...] = ()
    timeout_s: float = 0.0
    alert: str | None = None
    verify_reason: str | None = None
    truncated: bool = False
    limit: str = ""
    value: float = 0.0


def failure_of(error: SocketError) -> Failure:
    """Return what a worker is told of ``error``."""
    kinds = (ResolveError, ConnectError, ConnectTimeout, PolicyDenied, TlsError, ResetError, LimitExceeded, UsageError)
    kind = next((each for each in kinds if isinstance(error, each)), SocketError)
    attempts = tuple(
        Attempt(
            address=each.address,
            elapsed_s=each.elapsed_s,
            errno=each.error.errno,
            text=each.error.strerror or str(each.error),
        )
        for each in getattr(error, "attempts", ())
    )
    return Failure(
        kind=kind.__name__,
        message=error.message,
        address=error.address,
        during=error.during,
        attempts=attempts,
        timeout_s=getattr(error, "timeout_s", 0.0),
        alert=getattr(error, "alert", None),
        verify_reason=getattr(error, "verify_reason", None),
        truncated=getattr(error, "truncated", False),
        limit=getattr(error, "limit", ""),
        value=getattr(error, "value", 0.0),
    )


def to_error(failure: Failure) -> SocketError:
    """Return the error that ``failure`` stands for; of a denial the rule is ``"set by the host"``."""
    address, message = failure.address, failure.message
    attempts = tuple(ConnectAttempt(each.address, _os_error(each), each.elapsed_s) for each in failure.attempts)
    error: SocketError
    match failure.kind:
        case "ResolveError":
            error = ResolveError(message, address=address, during=failure.during)
        case "ConnectError":
            error = ConnectError(message, address=address, attempts=attempts)
            error.__cause__ = attempts[-1].error if attempts else None
        case "ConnectTimeout":
            error = ConnectTimeout(
                message,
                address=address,
                during=failure.during or "connect",
                attempts=attempts,
                timeout_s=failure.timeout_s,
            )
        case "PolicyDenied":
            error = PolicyDenied(message, address=address, rule=RULE_OF_HOST)
        case "TlsError":
            error = TlsError(
                message,
                address=address,
                during=failure.during or "tls",
                alert=failure.alert,
                verify_reason=failure.verify_reason,
                truncated=failure.truncated,
            )
        case "LimitExceeded":
            error = LimitExceeded(message, address=address, limit=failure.limit, value=failure.value)
        case "ResetError":
            error = ResetError(message, address=address, during=failure.during)
        case "UsageError":
            error = UsageError(message, address=address, during=failure.during)
        case _:
            error = SocketError(message, address=address, during=failure.during)
    return error


def _os_error(attempt: Attempt) -> OSError:
    """Return the right subclass (``ConnectionRefusedError`` …), which Python chooses by the number."""
    if attempt.errno is None:
        return OSError(attempt.text)
    return OSError(attempt.errno, attempt.text or os.strerror(attempt.errno))
