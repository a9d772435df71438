"""Tests of ``longshore.proto.ipc.failure``: errors are the same on the other side."""

from __future__ import annotations

import errno
import os

import msgspec
import pytest

from longshore.errors import (
    ArgumentValueError,
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
from longshore.proto.ipc.failure import Failure, failure_of, to_error

REFUSED = ConnectAttempt("127.0.0.1:1", OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)), 0.5)
ODD = ConnectAttempt("127.0.0.1:2", OSError("odd"), 0.25)

ERRORS = [
    SocketError("no", address="a:1", during="connect"),
    UsageError("no", address="a:1"),
    ResolveError("no", address="a:1", during="resolve"),
    ConnectError("no", address="a:1", attempts=(REFUSED, ODD)),
    ConnectError("no", address="a:1"),
    ConnectTimeout("no", address="a:1", during="tls", attempts=(REFUSED,), timeout_s=2.5),
    TlsError("no", address="a:1", alert="handshake_failure", verify_reason="expired", truncated=True),
    ResetError("no", address="a:1", during="read"),
    LimitExceeded("no", address="a:1", limit="open_sockets", value=3),
]


def there(error: SocketError) -> SocketError:
    """Return what comes out at the other end."""
    return to_error(msgspec.json.decode(msgspec.json.encode(failure_of(error)), type=Failure))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_out_as_it_went_in(error: SocketError) -> None:
    came = there(error)
    assert type(came) is type(error)
    assert str(came) == str(error)
    for name in ("address", "during", "timeout_s", "alert", "verify_reason", "truncated", "limit", "value"):
        assert getattr(came, name, None) == getattr(error, name, None), name
    assert [str(each) for each in getattr(came, "attempts", ())] == [
        str(each) for each in getattr(error, "attempts", ())
    ]


def test_the_cause_of_a_failed_connect_is_of_the_class_that_python_gives_its_number() -> None:
    came = there(ConnectError("no", attempts=(ODD, REFUSED)))
    assert isinstance(came.__cause__, ConnectionRefusedError)
    assert isinstance(came, ConnectError)
    assert came.attempts[0].error.errno is None


def test_a_denied_worker_is_not_told_the_rule() -> None:
    denied = PolicyDenied("blocked by policy", address="a:1", rule="10.0.0.0/8")
    assert b"10.0.0.0" not in msgspec.json.encode(failure_of(denied))
    came = there(denied)
    assert isinstance(came, PolicyDenied)
    assert (came.rule, came.address, came.during) == ("set by the host", "a:1", "connect")


def test_an_argument_error_is_a_usage_error_there() -> None:
    """It was not the caller's argument that the host refused, but what became of it."""
    assert type(there(ArgumentValueError("no"))) is UsageError


def test_an_unknown_kind_is_an_error_all_the_same() -> None:
    assert type(to_error(Failure(kind="Nonsense", message="no"))) is SocketError
