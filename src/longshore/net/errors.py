"""Where ``OSError`` becomes a ``longshore.errors`` class (house rule D4: mapped once, here)."""

from __future__ import annotations

import errno
import os

from longshore.errors import ResetError

__all__ = ["broken_connection", "describe"]

_HINTS = {
    errno.ECONNRESET: "the peer reset it",
    errno.EPIPE: "the peer no longer reads",
    errno.ETIMEDOUT: "the peer stopped answering",
    errno.EHOSTUNREACH: "the host became unreachable",
    errno.ENETUNREACH: "the network became unreachable",
}


def describe(error: OSError) -> str:
    """Return what the operating system said, with the errno's name: ``connection refused (ECONNREFUSED)``."""
    if error.errno is None:
        return str(error)
    name = errno.errorcode.get(error.errno, str(error.errno))
    return f"{os.strerror(error.errno).lower()} ({name})"


def broken_connection(error: OSError, address: str, during: str) -> ResetError:
    """Return the error for an established connection that failed in ``during`` (``"read" | "write"``)."""
    hint = _HINTS.get(error.errno or 0, "it failed")
    mapped = ResetError(
        f"connection to {address} broke during {during}: {hint}: {describe(error)}",
        address=address,
        during=during,
    )
    mapped.__cause__ = error
    return mapped
