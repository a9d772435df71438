"""A read that may be answered without the database, and those who wait for the same answer (PURE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from longshore.pool.session.rename import SYNC, describe_message, parse_message
from longshore.proto.postgres.constants import FrontendType
from longshore.proto.postgres.framing import Frame

if TYPE_CHECKING:
    from longshore.pool.cache.batch import Batch
    from longshore.pool.cache.memory import Entry, Key
    from longshore.pool.cache.versions import Snapshot
    from longshore.pool.session.prepared import Prepared

__all__ = ["Flight", "Question", "Waiter"]

_DESCRIBE_PORTAL = b"D\x00\x00\x00\x06P\x00"
_EXECUTE = b"E\x00\x00\x00\x09\x00"


@dataclass(slots=True, eq=False)
class Question:
    """One read of one session."""

    key: Key
    text: str
    """Without comments."""
    relations: frozenset[int]
    max_age_s: float
    swr_s: float
    max_bytes: int
    batch: Batch
    tenant: str
    """With whom a refresh shares its part of the pool."""
    body: bytes
    """Of its Parse; empty for a Query."""
    prepared: Prepared | None
    """The statement where the batch has no Parse."""
    settings: dict[str, str]
    """Of the session: name → statement."""
    parameters: dict[bytes, bytes]
    ignored: str = ""

    def frames(self) -> list[Frame]:
        """Return messages that ask the same, with no name in them."""
        batch = self.batch
        if batch.query is not None:
            raw = b"Q" + (len(batch.query) + 5).to_bytes(4, "big") + batch.query + b"\0"
            return [Frame(int(FrontendType.Query), raw)]
        messages = [parse_message(b"", self.body)]
        if batch.describes_statement:
            messages.append(describe_message(b""))
        messages.append(b"B" + (len(batch.values) + 6).to_bytes(4, "big") + b"\0\0" + batch.values)
        if batch.describes_portal:
            messages.append(_DESCRIBE_PORTAL)
        return [Frame(raw[0], raw) for raw in (*messages, _EXECUTE + batch.limit, SYNC)]


class Waiter(Protocol):
    """A session that waits for an answer to its question."""

    def serve(self, entry: Entry) -> None:
        """Here it is."""

    def go_alone(self) -> None:
        """There is none: ask yourself, without anybody waiting for it."""

    def lead(self, flight: Flight) -> None:
        """There is none so far: ask yourself; others wait for it."""


@dataclass(slots=True, eq=False)
class Flight:
    """A question that is under way to the database."""

    key: Key
    versions: Snapshot
    """When it was asked."""
    asked_at: float
    waiters: list[Waiter] = field(default_factory=list)
