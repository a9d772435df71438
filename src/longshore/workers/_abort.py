"""What ``fetch()`` raises when its signal stops it."""

from __future__ import annotations

from longshore.errors import ClosedError

__all__ = ["abort_error"]


def abort_error(reason: object, what: str) -> OSError:
    """Return what is raised when a signal has stopped ``what``: its reason, if that is an ``OSError``."""
    if isinstance(reason, OSError):  # a TimeoutError of AbortSignal.timeout() is one
        return reason
    error = OSError(f"{what} was aborted by its signal" + (f": {reason}" if reason is not None else ""))
    error.__cause__ = ClosedError(str(error), during="read", reason=reason)
    return error
