"""Why the pool could not log in to a database (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["LoginFailed", "explained"]

_PERMANENT = ("28", "3D")
"""Classes of SQLSTATE of a login that waiting does not mend."""


class LoginFailed(Exception):
    """The database did not let us in.

    Attributes:
        error: as it said it, None when there is no database there.
        is_permanent: waiting would not help.
    """

    def __init__(self, message: str, error: ErrorResponse | None = None, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.error = error
        self.is_permanent = is_permanent or (error is not None and error.sqlstate[:2] in _PERMANENT)

    def of_fixed_account(self) -> LoginFailed:
        """Return the same for clients who have another account: theirs is not what is wrong."""
        failed = LoginFailed(f"the pool's own account was refused: {self}", is_permanent=self.is_permanent)
        failed.error = None
        return failed


_STEPS = {
    "28P01": "check user and password of the target",
    "28000": "check pg_hba.conf of the database: which users, addresses and encryption it allows",
    "3D000": "check the name, or create it with createdb",
    "53300": "lower the size of the pools, or raise max_connections of the database",
    "57P03": "wait until it has started",
}


def explained(error: ErrorResponse) -> str:
    """Return what a database said to a login, and what to do about it."""
    step = _STEPS.get(error.sqlstate)
    return error.message if step is None else f"{error.message}; {step}"
