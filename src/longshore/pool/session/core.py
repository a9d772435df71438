"""The state of a session that its parts share (PURE)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from longshore.pool.session.extended import ExtendedProtocol, as_text
from longshore.pool.session.unit import Unit
from longshore.pool.session.wire import Wire
from longshore.sql.classify import classify
from longshore.sql.facts import UNKNOWN_TEXT, Effect

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.cache.desk import Desk
    from longshore.pool.session.belongings import Belongings
    from longshore.pool.session.retry import Attempt
    from longshore.pool.session.shared import PoolShared
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent
    from longshore.proto.postgres.frontend import Outcome
    from longshore.sql.facts import TextFacts

__all__ = ["SessionCore", "nobody"]

_CONFORMING: Final = b"standard_conforming_strings"
_ENCODING: Final = b"client_encoding"


def nobody() -> None:
    """Nobody is woken."""


class SessionCore:
    """See ``SessionEngine``.

    Args:
        session_id: of the pool.
        shared: of the pool.
        belongings: what is to be on every server connection.
    """

    def __init__(self, session_id: int, shared: PoolShared, belongings: Belongings) -> None:
        self.session_id = session_id
        self.tenant = ""
        """Whose it is: no result of a read is given to another tenant."""
        self.shared = shared
        self.belongings = belongings
        self.pid = 0
        """The process id that the client was told."""
        self.wire = Wire(self.on_finished)
        self.extended = ExtendedProtocol(self.wire, shared, self)
        self.unit = Unit()
        self.parameters: dict[bytes, bytes] = {}
        """What the client was told of the server's parameters."""
        self.inbox: deque[FrameEvent] = deque()
        """Messages of the client that wait for a server connection, or for an answer to the pool."""
        self.is_waiting = False
        """For an answer to the pool."""
        self.is_done = False
        """At rest, and nothing keeps the session on its server connection: ``detach`` it."""
        self.is_ended = False
        """The client has said good-bye."""
        self.is_skipping_alone = False
        """The client's batch was given up without a server; its Sync is still to come."""
        self.failure: ErrorResponse | None = None
        """Why the session cannot go on; send it and close."""
        self.failure_cause: ErrorResponse | None = None
        """What the server said."""
        self.barrier = False
        """What the client says behind its batch waits for the end of that batch."""
        self.held: bytes | None = None
        """That end, which the client has not been told yet."""
        self.attempt: Attempt | None = None
        """The batch that may be sent once more."""
        self.is_in_message = False
        """Only part of a message has gone to the server."""
        self.last_text = ""
        """The last text that may have left something behind: what a pin is explained with."""
        self.last_reply = b""
        self.last_parameters = b""
        self.desk: Desk | None = None
        """Where it asks the read cache, if there is one."""
        self.on_wake: Callable[[], None] = nobody
        """Is called when there is something to send, or to ask for, without anything having been received."""

    def on_finished(self, tag: object, outcome: Outcome) -> None:
        """Take how a request ended."""
        raise NotImplementedError

    def note(self, facts: TextFacts, text: str) -> bool:
        """Take a text that is about to run; False when it must not."""
        raise NotImplementedError

    def note_executed(self, name: str) -> None:
        """Note that a statement made by SQL's PREPARE is about to run."""
        raise NotImplementedError

    # -- texts -----------------------------------------------------------------------------------

    def read(self, raw: bytes) -> tuple[str, TextFacts]:
        """Return a text of the client, and what it does: anything, where the server may read it in another way."""
        text = as_text(raw)
        return text, UNKNOWN_TEXT if b"\\" in raw and self._may_misread(raw) else classify(text)

    def _may_misread(self, raw: bytes) -> bool:
        """Return whether a backslash in a string may mean something else to the server than to the parser."""
        if self.parameters.get(_CONFORMING, b"on") != b"on" or Effect.SETTINGS in self.unit.effects:
            return True
        return not raw.isascii() and self.parameters.get(_ENCODING, b"UTF8") != b"UTF8"

    # -- for the extended protocol ---------------------------------------------------------------

    def meaning(self) -> tuple[object, ...]:
        """Return what decides what the names in a statement mean that is prepared now."""
        if self.unit.is_private:
            return (self.session_id, self.shared.names.new())
        return self.belongings.meaning()

    def hold(self, event: FrameEvent) -> None:
        """Take this message of the client again, and all behind it, when what was asked has been answered."""
        self.inbox.appendleft(event)
        self.is_waiting = True

    def go_on(self) -> None:
        """It has been."""
        self.is_waiting = False

    def own_sql_prepared(self) -> None:
        """Note that what SQL sees of prepared statements on this connection is of this session."""
        assert self.wire.server is not None
        self.wire.server.sql_owner = self.session_id

    def has_sql_prepared(self, name: str) -> bool:
        """Return whether SQL's PREPARE may have made a statement."""
        return name in self.belongings.sql_prepared or self.unit.has_made(name)

    def drop_sql_prepared(self, name: str) -> None:
        """Note that it is gone."""
        assert self.wire.server is not None
        self.belongings.drop_prepared(name, self.wire.server)
