"""Reads a database's catalogue once, as a session of its own among those of the pool (shell)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.pool.catalogue.answer import Answer
from longshore.pool.catalogue.queries import catalogue_sql, fingerprint_sql
from longshore.pool.servers.leaving import leave
from longshore.pool.session.engine import SessionEngine
from longshore.pool.session.settings import set_sql
from longshore.pool.session_ids import new_session_id
from longshore.proto.postgres.framing import frontend_reader
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.catalogue.names import Names
    from longshore.pool.catalogue.rows import Head
    from longshore.pool.pool import Pool
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.login_failed import LoginFailed
    from longshore.pool.slots.model import RejectReason
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["CatalogueReader", "Reading"]

_MAJOR: Final = re.compile(rb"\d+")
_SETTINGS: Final = {
    "search_path": set_sql("search_path", "pg_catalog"),
    "statement_timeout": set_sql("statement_timeout", "60000"),
}
_PART_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look at the catalogue has brought."""

    names: Names | None
    """None: everything is as it was."""
    epoch: int
    """Of the pool, when the query was sent."""
    took_s: float


class CatalogueReader:
    """One look.

    Args:
        pool: whose connection is used.
        known: the head of what is known already.
        on_read: is told what was found.
        on_failed: is told why nothing was. Exactly one of the two is called, unless ``close`` was.
    """

    def __init__(
        self, pool: Pool, known: Head | None, on_read: Callable[[Reading], None], on_failed: Callable[[str], None]
    ) -> None:
        self.session_id = new_session_id()
        self._pool = pool
        self._known = known
        self._on_read = on_read
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self._server: ServerConnection | None = None
        self._engine = SessionEngine(self.session_id, pool.shared, dict(_SETTINGS), {})
        self._engine.desk = None  # these are no reads for a cache
        self._answer = Answer()
        self._arrears = bytearray()
        self._texts: list[str] = []
        self._asks_all = False
        self._epoch = -1
        self._started_at = 0.0

    def begin(self) -> None:
        """Ask for a connection."""
        self._ask([fingerprint_sql()])
        self._pool.acquire(self)

    def close(self) -> None:
        """Wait for no connection any more; one that is in use goes with its pool."""
        self._pool.forget(self.session_id)

    def _ask(self, texts: list[str]) -> None:
        self._answer = Answer()
        self._texts = texts
        self._send()

    def _send(self) -> None:
        """Send the next text; each waits for the answer to the one before, so that the loop is not held up."""
        message = serialize(Query(self._texts.pop(0).encode()))
        self._engine.client_received(frontend_reader().receive_data(message))

    # -- a waiter of the pool, and a holder of its connection --------------------------------------

    def server_assigned(self, server: ServerConnection) -> None:
        """Send the question."""
        self._server = server
        server.holder = self
        self._epoch = self._pool.shared.epoch
        self._started_at = monotonic()
        self._engine.attach(server.memory)
        self._flush()

    def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
        """Give up."""
        self._on_failed(f"no server connection: {reason.name.lower()}")

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take a part of the answer."""
        try:
            self._engine.server_received(events)
            self._flush()
        except ProtocolViolation as exc:
            self._let_go()
            self._on_failed(str(exc))

    def server_lost(self, error: ErrorResponse | None) -> None:
        """Give up."""
        self._server = None
        self._on_failed(error.message if error is not None else "the database closed the connection")

    def pause_reading(self) -> None:
        """Nobody writes much."""

    def resume_reading(self) -> None:
        """Nobody writes much."""

    def _flush(self) -> None:
        engine, server = self._engine, self._server
        assert server is not None
        self._arrears += b"".join(engine.wire.to_client)
        engine.wire.to_client.clear()
        self._read()
        if engine.wire.to_server:
            server.write(b"".join(engine.wire.to_server))
            engine.wire.to_server.clear()
        if self._arrears:
            server.pause_reading()
            self._loop.call_soon(self._go_on)
            return
        server.resume_reading()
        if self._answer.failure is not None or engine.failure is not None:
            self._let_go()
            self._on_failed(self._answer.failure or str(engine.failure))
        elif engine.is_done:
            self._answered(server)

    def _read(self) -> None:
        """Take in so much of the answer as does not hold the loop up."""
        part = bytes(self._arrears[:_PART_BYTES])
        del self._arrears[:_PART_BYTES]
        finished = self._answer.finished
        self._answer.receive(part)
        if self._answer.failure is not None:
            self._arrears.clear()
        elif self._answer.finished > finished and self._texts:
            self._send()

    def _go_on(self) -> None:
        if self._server is not None:
            self._flush()

    def _let_go(self) -> None:
        """Give the connection up in the middle of something."""
        server, self._server = self._server, None
        assert server is not None
        memory, _ = self._engine.abandon()
        if memory is None:
            self._pool.discard(server)
        else:
            leave(self._pool, server, memory, is_dirty=False, is_polite=False)

    # -- the answer --------------------------------------------------------------------------------

    def _answered(self, server: ServerConnection) -> None:
        """Take what was found, or ask for all of it."""
        names = self._answer.names
        if not self._asks_all and names.head != self._known:
            self._asks_all = True
            self._epoch = self._pool.shared.epoch
            self._ask(catalogue_sql(_version(server)))
            self._flush()
            return
        self._engine.detach()
        self._server = None
        took_s = monotonic() - self._started_at
        self._on_read(Reading(names if self._asks_all else None, self._epoch, took_s))
        self._pool.release(server)


def _version(server: ServerConnection) -> int:
    """Return the number of a server's version, as ``server_version_num`` has it."""
    match = _MAJOR.match(server.memory.parameters.get(b"server_version", b""))
    return int(match[0]) * 10_000 if match is not None else 0
