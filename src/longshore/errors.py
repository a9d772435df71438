"""Every exception that Longshore raises.

::

    SocketError
    ├─ UsageError                 the call was wrong in this state (locked, wrong mode, busy)
    │   ├─ ArgumentTypeError      also TypeError: an argument has the wrong type
    │   └─ ArgumentValueError     also ValueError: an argument has a value that is not allowed
    ├─ ResolveError               also OSError: the name has no usable address
    ├─ ConnectError               also ConnectionError: every address failed (.attempts)
    ├─ ConnectTimeout             also TimeoutError: no connection in time (.attempts, .timeout_s)
    ├─ PolicyDenied               also PermissionError: an egress rule forbids the destination (.rule)
    ├─ TlsError                   also OSError: handshake, certificate, record or truncation (.alert, .verify_reason)
    ├─ ResetError                 also ConnectionError: the peer or the network ended the connection
    ├─ ClosedError                this side closed or aborted the socket (.reason)
    └─ LimitExceeded              a configured bound was reached (.limit, .value)

A class exists only where a caller branches on it. All carry typed attributes; the ``OSError`` or
``ssl.SSLError`` that caused one is its ``__cause__``. This module is PURE and imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ArgumentTypeError",
    "ArgumentValueError",
    "ClosedError",
    "ConnectAttempt",
    "ConnectError",
    "ConnectTimeout",
    "LimitExceeded",
    "PolicyDenied",
    "ResetError",
    "ResolveError",
    "SocketError",
    "TlsError",
    "UsageError",
]


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """One address that was tried, and how it ended."""

    address: str
    """``ip:port`` or ``[ipv6]:port``."""
    error: OSError
    """What the operating system answered."""
    elapsed_s: float
    """Seconds from the start of this attempt to its end."""

    def __str__(self) -> str:
        return f"{self.address}: {self.error.strerror or self.error}"


class SocketError(Exception):
    """Base of every error of this library.

    Attributes:
        address: the destination as ``host:port``, or None where there is none.
        during: ``"resolve" | "connect" | "tls" | "read" | "write" | "close"`` or None.
    """

    def __init__(self, message: str, *, address: str | None = None, during: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.address = address
        self.during = during

    def __str__(self) -> str:
        return self.message


class UsageError(SocketError):
    """The call is not allowed in the socket's present state; nothing was changed."""


class ArgumentTypeError(UsageError, TypeError):
    """An argument has the wrong type; the message names it, its value and the rule."""


class ArgumentValueError(UsageError, ValueError):
    """An argument has a value that is not allowed; the message names it, its value and the rule."""


class ResolveError(SocketError, OSError):
    """The host name could not be resolved to any address (``__cause__`` is the ``socket.gaierror``)."""


class ConnectError(SocketError, ConnectionError):
    """No address of the destination accepted the connection.

    Attributes:
        attempts: every address that was tried, in order, with its cause (rule K14).
    """

    def __init__(self, message: str, *, address: str | None = None, attempts: tuple[ConnectAttempt, ...] = ()) -> None:
        super().__init__(message, address=address, during="connect")
        self.attempts = attempts


class ConnectTimeout(SocketError, TimeoutError):
    """The connection (name, TCP and TLS together) was not up within ``connect_timeout_s``.

    Attributes:
        attempts: the addresses that had already failed.
        timeout_s: the bound that ran out, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        address: str | None = None,
        during: str = "connect",
        attempts: tuple[ConnectAttempt, ...] = (),
        timeout_s: float,
    ) -> None:
        super().__init__(message, address=address, during=during)
        self.attempts = attempts
        self.timeout_s = timeout_s


class PolicyDenied(SocketError, PermissionError):
    """An egress rule forbids the destination (rule K4).

    Attributes:
        rule: the text of the rule that decided, for the operator.
    """

    def __init__(self, message: str, *, address: str | None = None, rule: str) -> None:
        super().__init__(message, address=address, during="connect")
        self.rule = rule


class TlsError(SocketError, OSError):
    """The TLS handshake failed, a certificate was refused, a record was bad, or the stream was truncated.

    Attributes:
        alert: name of the TLS alert in RFC 8446 spelling (``"handshake_failure"``), or None.
        verify_reason: why the certificate was refused, or None when it was not the certificate.
        truncated: True when the peer ended TCP without close_notify (RFC 8446 §6.1).
    """

    def __init__(
        self,
        message: str,
        *,
        address: str | None = None,
        during: str = "tls",
        alert: str | None = None,
        verify_reason: str | None = None,
        truncated: bool = False,
    ) -> None:
        super().__init__(message, address=address, during=during)
        self.alert = alert
        self.verify_reason = verify_reason
        self.truncated = truncated


class ResetError(SocketError, ConnectionError):
    """The peer or the network ended an established connection without a clean close."""


class ClosedError(SocketError):
    """The socket, or this side of it, was closed by this program.

    Attributes:
        reason: what was given to ``close()``, ``abort()``, ``cancel()`` or the abort signal.
    """

    def __init__(
        self, message: str, *, address: str | None = None, during: str | None = None, reason: object = None
    ) -> None:
        super().__init__(message, address=address, during=during)
        self.reason = reason
        if isinstance(reason, BaseException):
            self.__cause__ = reason


class LimitExceeded(SocketError):
    """A configured bound was reached.

    Attributes:
        limit: the bound's name.
        value: the bound.
    """

    def __init__(self, message: str, *, address: str | None = None, limit: str, value: float) -> None:
        super().__init__(message, address=address)
        self.limit = limit
        self.value = value
