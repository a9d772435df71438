"""``Audit``: one worker's part of the audit log; every dial ends in exactly one of open, fail, deny and limit (shell).

Where a record goes is not decided here: ``write`` is ``AuditTrail.write``, or a list's ``append`` in a test.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from longshore.egress.token_bucket import TokenBucket
from longshore.proto.ipc.egress import AuditRecord

if TYPE_CHECKING:
    from longshore.errors import LimitExceeded

__all__ = ["Audit", "AuditWriter", "Entry", "audit_time"]

AuditWriter: TypeAlias = Callable[[AuditRecord], None]
"""Takes a record; must neither block nor raise."""

BLOCKED: Final = "blocked by policy"

# A refusal costs a worker nothing; that it tries again and again is said in numbers, so that it cannot fill the disk.
_REFUSALS_PER_S: Final = 1.0
_REFUSALS_AT_ONCE: Final = 100

_logger = logging.getLogger(__name__)


def audit_time() -> str:
    """Return the time of day as RFC 3339 in UTC with milliseconds."""
    seconds, fraction = divmod(time.time(), 1)  # noqa: TID251 - an audit log says at what time of day something happened
    return f"{_to_the_second(seconds)}.{int(fraction * 1e3):03d}Z"


@lru_cache(maxsize=4)
def _to_the_second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


class Audit:
    """What one worker process did and tried.

    Args:
        worker: its name.
        worker_id: its number.
        write: takes the records.
        clock: seconds, for durations.
        stamp: the time of day of a record.
    """

    def __init__(
        self,
        worker: str,
        worker_id: int,
        write: AuditWriter,
        *,
        clock: Callable[[], float] = time.monotonic,
        stamp: Callable[[], str] = audit_time,
    ) -> None:
        self.worker = worker
        self.worker_id = worker_id
        self.clock = clock
        self._write = write
        self._stamp = stamp
        self._count = 0
        self._refusals: dict[str, TokenBucket] = {}  # by operation: many of one must not hide another
        self._unwritten: Counter[str] = Counter()

    def begin(self, *, name: str, port: int, via: str, request_id: str = "", binding: str = "") -> Entry:
        """Return the entry of a new dial; nothing is written before its outcome is known.

        Args:
            name: host name or IP literal as the worker wrote it, without port.
            port: the port.
            via: ``"connect()"``, ``"fetch()"``, ``"binding"`` or ``"socket"``.
            request_id: of the request that asks; empty when it is not known.
            binding: name of the binding, if any.
        """
        self._count += 1
        return Entry(self, self._count, name=name, port=port, via=via, request_id=request_id, binding=binding)

    def refuse(self, operation: str, detail: str = "") -> None:
        """Write that the worker tried something that no worker may do.

        Args:
            operation: what, in one word where it has one: ``"listen"``, ``"bind"``, ``"disconnect"``, ``"ioctl"``.
            detail: with what, where that is known.

        Of many of one operation in a short time some are not written; the next one that is says how many.
        """
        now = self.clock()
        if operation not in self._refusals:
            self._refusals[operation] = TokenBucket(_REFUSALS_PER_S, _REFUSALS_AT_ONCE, now)
        if self._refusals[operation].take(now):
            self._unwritten[operation] += 1
            return
        unwritten = self._unwritten.pop(operation, 0)
        text = f"{operation}: {detail}" if detail else operation
        self.write(
            AuditRecord(
                time=self._stamp(),
                event="refuse",
                worker=self.worker,
                worker_id=self.worker_id,
                outcome="not permitted",
                detail=f"{text} ({unwritten} like it before are not in the log)" if unwritten else text,
            )
        )

    def write(self, record: AuditRecord) -> None:
        """Write a record; whatever goes wrong must not hurt the dial that it tells of."""
        try:
            self._write(record)
        except Exception:
            _logger.exception("an audit record could not be written")

    def stamp(self) -> str:
        """Return the time of day, as records spell it."""
        return self._stamp()


_State: TypeAlias = Literal["dialing", "open", "over"]


class Entry:
    """One dial, from being asked for to the end of its connection.

    First one of ``opened``, ``failed``, ``denied`` and ``limited``; after ``opened`` one ``closed``. A call that comes
    too late is ignored, so that every path may say what it knows.
    """

    __slots__ = (
        "_audit",
        "_early_end",
        "_opened_at",
        "_started_at",
        "_state",
        "binding",
        "connection_id",
        "known",
        "request_id",
    )

    def __init__(
        self, audit: Audit, connection_id: int, *, name: str, port: int, via: str, request_id: str, binding: str
    ) -> None:
        self._audit = audit
        self._state: _State = "dialing"
        self._started_at = audit.clock()
        self._opened_at = self._started_at
        # A connection that ended before its handshake was done, and told so first.
        self._early_end: tuple[int | None, int | None, str] | None = None
        self.connection_id = connection_id
        """Counted for each worker, from 1."""
        self.request_id = request_id
        self.binding = binding
        self.known: dict[str, str | int] = {"name": name, "port": port, "via": via}
        """What later records repeat."""

    @property
    def is_settled(self) -> bool:
        """True once the outcome of the dial is written."""
        return self._state != "dialing"

    def opened(
        self,
        remote_address: str,
        local_address: str,
        rule: str,
        *,
        dns_s: float | None = None,
        tcp_s: float | None = None,
        tls_s: float | None = None,
    ) -> None:
        """The connection is up: ``remote_address`` and ``local_address`` are ``ip:port``, ``rule`` allowed it."""
        if self._state != "dialing":
            return
        self._state = "open"
        self._opened_at = self._audit.clock()
        self.known |= {"address": remote_address, "local_address": local_address, "rule": rule}
        self._write(
            "open",
            "connected",
            dns_s=dns_s,
            tcp_s=tcp_s,
            tls_s=tls_s,
            duration_s=self._opened_at - self._started_at,
        )
        if self._early_end is not None:
            bytes_sent, bytes_received, detail = self._early_end
            self.closed(bytes_sent=bytes_sent, bytes_received=bytes_received, detail=detail)

    def failed(self, outcome: str, *, address: str = "", rule: str = "") -> None:
        """There is no connection; ``outcome`` says why in words (``"refused"``, ``"timed out"``)."""
        self._end("fail", outcome, address=address, rule=rule)

    def denied(self, rule: str, *, address: str = "", outcome: str = BLOCKED) -> None:
        """Policy forbids it; ``address`` is what was judged, when it came to an address."""
        self._end("deny", outcome, address=address, rule=rule)

    def limited(self, error: LimitExceeded) -> None:
        """A limit forbids it."""
        self._end("limit", f"limit {error.limit} of {error.value:g} reached", detail=error.message)

    def closed(self, *, bytes_sent: int | None, bytes_received: int | None, detail: str = "") -> None:
        """The connection ended; a number is None when it is not known."""
        if self._state == "dialing":
            self._early_end = (bytes_sent, bytes_received, detail)
        if self._state != "open":
            return
        self._state = "over"
        duration_s = self._audit.clock() - self._opened_at
        self._write(
            "close",
            "closed",
            bytes_sent=bytes_sent,
            bytes_received=bytes_received,
            duration_s=duration_s,
            detail=detail,
        )

    def _end(self, event: str, outcome: str, *, address: str = "", rule: str = "", detail: str = "") -> None:
        if self._state != "dialing":
            return
        self._state = "over"
        self.known |= {"address": address, "rule": rule}
        self._write(event, outcome, duration_s=self._audit.clock() - self._started_at, detail=detail)

    def _write(self, event: str, outcome: str, *, detail: str = "", **numbers: float | None) -> None:
        audit = self._audit
        audit.write(
            AuditRecord(
                time=audit.stamp(),
                event=event,
                worker=audit.worker,
                worker_id=audit.worker_id,
                connection_id=self.connection_id,
                request_id=self.request_id,
                binding=self.binding,
                outcome=outcome,
                detail=detail,
                **self.known,  # type: ignore[arg-type]  # the names are the record's
                **{key: round(value, 6) for key, value in numbers.items() if value is not None},  # type: ignore[arg-type]
            )
        )
