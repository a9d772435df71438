"""Tests of ``longshore.net.errors``."""

from __future__ import annotations

import errno

import pytest

from longshore.errors import ResetError
from longshore.net.errors import broken_connection, describe


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "connection refused (ECONNREFUSED)"),
        (OSError(errno.EPIPE, ""), "broken pipe (EPIPE)"),
        (OSError("something else"), "something else"),
        (OSError(9999, "x"), "unknown error 9999 (9999)"),
    ],
)
def test_an_os_error_is_described_with_its_name(error: OSError, text: str) -> None:
    assert describe(error) == text


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ECONNRESET, "the peer reset it"),
        (errno.EPIPE, "the peer no longer reads"),
        (errno.ETIMEDOUT, "the peer stopped answering"),
        (errno.EBADF, "it failed"),
    ],
)
def test_a_broken_connection_names_peer_phase_and_cause(number: int, hint: str) -> None:
    cause = OSError(number, "x")
    error = broken_connection(cause, "192.0.2.1:80", "read")
    assert isinstance(error, ResetError)
    assert isinstance(error, ConnectionError)
    assert error.__cause__ is cause
    assert error.address == "192.0.2.1:80"
    assert error.during == "read"
    assert str(error).startswith(f"connection to 192.0.2.1:80 broke during read: {hint}: ")
    assert errno.errorcode[number] in str(error)


def test_an_error_without_a_number_is_still_a_reset() -> None:
    assert "it failed: odd" in str(broken_connection(OSError("odd"), "a:1", "write"))
