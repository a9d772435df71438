"""``Recorder``: what the host is told of a worker's outbound connections, whoever makes them."""

from __future__ import annotations

import itertools
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING

from longshore.core.info import Timings
from longshore.errors import PolicyDenied
from longshore.proto.ipc.failure import RULE_OF_HOST
from longshore.proto.ipc.messages import ConnectionClosed, ConnectionOpened
from longshore.workers._context import current_request_id

if TYPE_CHECKING:
    from longshore.runtime.worker.reporter import Reporter

__all__ = ["Recorder", "Recording", "describe", "is_recorded"]

is_recorded: ContextVar[bool] = ContextVar("longshore.runtime.is_recorded", default=False)
"""True while somebody above records the connection that is being made: system calls below are part of it."""


class Recording:
    """One connection, from the moment it was asked for.

    Its owner counts what passes, and says once how making it ended and once how the connection did.
    """

    __slots__ = (
        "_address",
        "_number",
        "_opened",
        "_reporter",
        "_request_id",
        "_started",
        "_via",
        "late_tls_s",
        "received",
        "sent",
    )

    def __init__(self, reporter: Reporter, number: int, address: str, via: str) -> None:
        self._reporter = reporter
        self._number = number
        self._address = address
        self._via = via
        self._request_id = current_request_id()
        self._started = monotonic()
        self._opened: float | None = None
        # Of a handshake made on the open connection (STARTTLS).
        self.late_tls_s: float | None = None
        self.sent = 0
        self.received = 0

    def opened(self, remote_address: str = "", timings: Timings | None = None) -> None:
        """Tell that the connection is up."""
        self._opened = monotonic()
        self._tell_opened(remote_address, timings or Timings(), "")

    def failed(self, error: BaseException) -> None:
        """Tell that there will be no connection."""
        self._tell_opened("", Timings(), describe(error))

    def ended(self, how: str) -> None:
        """Tell how the connection ended; only the first time counts, and only when it was up."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._reporter.send(
                ConnectionClosed(
                    connection_id=self._number,
                    request_id=self._request_id,
                    address=self._address,
                    bytes_sent=self.sent,
                    bytes_received=self.received,
                    duration_s=monotonic() - opened,
                    tls_s=self.late_tls_s,
                    ended=how,
                )
            )

    def _tell_opened(self, remote_address: str, timings: Timings, error: str) -> None:
        self._reporter.send(
            ConnectionOpened(
                connection_id=self._number,
                request_id=self._request_id,
                address=self._address,
                remote_address=remote_address,
                dns_s=timings.dns_s,
                tcp_s=timings.tcp_s,
                tls_s=timings.tls_s,
                total_s=monotonic() - self._started,
                error=error,
                via=self._via,
            )
        )


class Recorder:
    """Numbers the connections of a worker.

    Args:
        reporter: gets ``ConnectionOpened`` and ``ConnectionClosed``.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._numbers = itertools.count(1)

    def begin(self, address: str, via: str) -> Recording:
        """Start to record a connection that is asked for now, by the current request."""
        return Recording(self._reporter, next(self._numbers), address, via)


def describe(error: BaseException) -> str:
    """Return an error in one line."""
    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0]
    if isinstance(error, PolicyDenied) and error.rule != RULE_OF_HOST:
        # The worker is told that it is blocked; by which rule is for whoever runs it. The host says so itself.
        default = error.rule.removeprefix("default: ")
        return f"{first}: {default if default != error.rule else f'the rule {error.rule!r} in deny'}"
    return first
