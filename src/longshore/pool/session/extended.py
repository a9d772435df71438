"""The extended protocol: statements have the client's names up to here and the pool's from here on (PURE).

A server connection that does not have a statement is made to have it by a Parse of ours in front of the client's
message. If the client was told its columns or parameter types, the server is asked for them first, and the client's
message waits: a statement that has changed since is refused, as PostgreSQL would.

What is noted because it was *sent* is taken back when it fails or is skipped: ``finished``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from longshore.pool.session.prepared import NAME_PREFIX, Prepared, StatementKey
from longshore.pool.session.rename import (
    CLOSE_COMPLETE,
    FLUSH,
    PARSE_COMPLETE,
    STATEMENT,
    bind_names,
    close_message,
    describe_message,
    parse_message,
    renamed_bind,
    split_parse,
)
from longshore.pool.session.sequences import UNKNOWN_VALUE
from longshore.pool.session.shape import CHANGED, Shape
from longshore.proto.postgres.constants import FrontendType, TransactionStatus
from longshore.proto.postgres.errors import error_response
from longshore.proto.postgres.frontend import Outcome
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.sql.facts import UNKNOWN_TEXT, Kind

if TYPE_CHECKING:
    from longshore.pool.session.long_message import LongHead
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.pool.session.shared import PoolShared
    from longshore.pool.session.wire import Wire
    from longshore.proto.postgres.framing import Frame
    from longshore.sql.facts import TextFacts

    class Session(Protocol):
        """What this needs of the session."""

        def read(self, raw: bytes) -> tuple[str, TextFacts]:
            """Return a text of the client, and what it does."""

        def note(self, facts: TextFacts, text: str) -> bool:
            """Take a text that is about to run; False when it must not."""

        def note_executed(self, name: str) -> None:
            """Note that a statement made by SQL's PREPARE is about to run."""

        def meaning(self) -> tuple[object, ...]:
            """Return what decides what names mean now."""

        def hold(self, frame: Frame) -> None:
            """Take this message, and all behind it, when what was asked has been answered."""

        def go_on(self) -> None:
            """It has."""

        def own_sql_prepared(self) -> None:
            """Note that what SQL sees of prepared statements on this connection is of this session."""

        def has_sql_prepared(self, name: str) -> bool:
            """Return whether SQL's PREPARE may have made a statement."""

        def drop_sql_prepared(self, name: str) -> None:
            """Note that it is gone."""

        @property
        def last_reply(self) -> bytes:
            """The message of the server that is being worked on."""

        @property
        def last_parameters(self) -> bytes:
            """The last ParameterDescription."""


__all__ = ["ExtendedProtocol"]

_F = FrontendType
_OUR_NAME: Final = re.compile(NAME_PREFIX + rb"[0-9a-f]+")
_EXITS: Final = (Kind.COMMIT, Kind.ROLLBACK)
_MALFORMED: Final = "malformed"
_NO_VALUE: Final = error_response("ERROR", UNKNOWN_VALUE[0], UNKNOWN_VALUE[1], hint=UNKNOWN_VALUE[2])


@dataclass(frozen=True, slots=True)
class _Parsing:
    """A Parse that is on its way."""

    name: bytes | None
    """The client's; None when the pool put it in."""
    prepared: Prepared
    previous: Prepared | None = None
    """What had the name before, and has it again when this fails."""


@dataclass(frozen=True, slots=True)
class _Lending:
    """A Parse under the client's own name."""

    name: str


@dataclass(frozen=True, slots=True)
class _Describing:
    """A Describe that is on its way."""

    shapes: tuple[Shape, ...]
    """Who learns from its answer."""
    is_statement: bool
    is_check: bool = False


@dataclass(frozen=True, slots=True)
class _Closing:
    name: bytes
    prepared: Prepared | None
    is_sql: bool = False


class ExtendedProtocol:
    """Statements of one session, and the messages about them.

    Args:
        wire: of the session.
        shared: of the pool.
        session: what it is part of.
    """

    def __init__(self, wire: Wire, shared: PoolShared, session: Session) -> None:
        self.statements: dict[bytes, Prepared] = {}
        self.unnamed: Prepared | None = None
        self.outdated: Prepared | None = None
        """What the server connection has in a form that it does not run any more."""
        self._portals: dict[bytes, Prepared] = {}
        self._wire = wire
        self._shared = shared
        self._session = session

    def end(self) -> None:
        """Let go of the session; the last call."""
        del self._session

    # -- Parse -----------------------------------------------------------------------------------

    def on_parse(self, frame: Frame) -> None:
        """Take a Parse."""
        try:
            name, raw_text, body = split_parse(frame.raw)
        except ValueError:
            raise ProtocolViolation(_MALFORMED, message_type=frame.type) from None
        text, facts = self._session.read(raw_text)
        for statement in facts.statements:
            if statement.executes:
                self.lend(statement.executes.encode())
        if name:
            self._parse_named(name, Prepared(body, b"", facts, text))
            return
        prepared = Prepared(body, b"", facts, text)
        if self._server.is_parse_left_out:
            self._server.is_parse_left_out = False
            self.unnamed = prepared
            self._set_unnamed(prepared)
            self._wire.answer(PARSE_COMPLETE, _Parsing(b"", prepared))
            return
        if self._wire.send(frame.raw, frame.type, tag=_Parsing(b"", prepared)):
            self.unnamed = prepared
            self._set_unnamed(prepared)

    def _parse_named(self, name: bytes, prepared: Prepared) -> None:
        server = self._server
        is_exit = any(each.kind in _EXITS for each in prepared.facts.statements)
        is_failed = server.relay.status is TransactionStatus.FAILED and not is_exit
        # What is executed is the client's own; 'now' is the moment of its Parse, not of somebody else's.
        is_private = any(each.executes or each.has_clock_literal for each in prepared.facts.statements)
        meaning = (self._shared.names.new(),) if is_private else self._session.meaning()
        prepared.name = self._shared.names.name(StatementKey(prepared.body, meaning))
        if not is_failed and (name in self.statements or self._session.has_sql_prepared(as_text(name))):
            self.ensure(prepared)  # what is wrong with the text is told first
            message = f'prepared statement "{as_text(name)}" already exists'
            self._wire.refuse(error_response("ERROR", "42P05", message))
            return
        tag = _Parsing(name, prepared, self.statements.get(name))
        if prepared.name in server.prepared:
            if not is_failed and not server.relay.outstanding_syncs:
                server.prepared.move_to_end(prepared.name)
                self.statements[name] = prepared
                self._wire.answer(PARSE_COMPLETE, tag)
                return
            # Whether the server would take a Parse now, only the server knows.
            self._drop(prepared.name)
        if self._wire.send(parse_message(prepared.name, prepared.body), _F.Parse, tag=tag):
            server.prepared[prepared.name] = Shape()
            self.statements[name] = prepared

    def _drop(self, name: bytes) -> None:
        """Make the server forget a statement."""
        if self._wire.inject(close_message(name), _F.Close):
            self._server.prepared.pop(name, None)

    def on_long_parse(self, head: LongHead) -> bool:
        """Take the beginning of a Parse that is too long to be kept; return whether its rest is to be sent."""
        _, name = head.names()
        prepared = Prepared(b"", self._shared.names.new() if name else b"", UNKNOWN_TEXT, "")
        if not self._wire.send(head.renamed(prepared.name), _F.Parse, tag=_Parsing(name, prepared)):
            return False
        if name:
            self._server.prepared[prepared.name] = Shape()
            self.statements[name] = prepared
        else:
            self.unnamed = prepared
            self._set_unnamed(prepared)
        return True

    def on_long_bind(self, head: LongHead) -> bool:
        """Take the beginning of a Bind that is too long to be kept; return whether its rest is to be sent."""
        _, name = head.names()
        prepared = self._find(name)
        if prepared is None:
            if not name:
                self._drop_unnamed()
            return self._wire.send(head.renamed(name), _F.Bind)
        # There is no waiting for a check with half a message in hand: the server is asked to parse, and that is all.
        self.ensure(prepared)
        if not self._shape_there(prepared).may_fit(prepared.shape):
            self._wire.refuse(CHANGED)
            return False
        if not self._session.note(prepared.facts, prepared.text):
            self._wire.refuse(_NO_VALUE)
            return False
        return self._wire.send(head.renamed(prepared.name), _F.Bind)

    # -- Bind, Describe, Close -------------------------------------------------------------------

    def on_bind(self, frame: Frame) -> Prepared | None:
        """Take a Bind; return its statement when it went to the server as it is there, and may be tried again."""
        try:
            portal, name = bind_names(frame.raw)
        except ValueError:
            raise ProtocolViolation(_MALFORMED, message_type=frame.type) from None
        is_first = self._server.relay.is_idle
        prepared = self._find(name)
        if prepared is None:
            self._on_foreign(name, frame)
            return None
        if not self._make_ready(prepared, frame):
            return None
        facts = prepared.facts
        if (not facts.is_plain or facts.moves_sequence or facts.changes_catalogue) and not self._session.note(
            facts, prepared.text
        ):
            self._wire.refuse(_NO_VALUE)
            return None
        is_there = is_first and self._server.relay.is_idle
        if name:
            self._portals[portal] = prepared
            self._wire.send(renamed_bind(frame.raw, prepared.name), _F.Bind)
        else:
            self._portals.pop(portal, None)
            self._wire.send(frame.raw, _F.Bind)
        return prepared if is_there else None

    def on_describe(self, frame: Frame) -> Prepared | None:
        """Take a Describe; return as ``on_bind``."""
        name = frame.raw[6:-1]
        if frame.raw[5] != STATEMENT:
            self._describe_portal(name, frame)
            return None
        is_first = self._server.relay.is_idle
        prepared = self._find(name)
        if prepared is None:
            self._on_foreign(name, frame)
            return None
        if not self._make_ready(prepared, frame):
            return None
        is_there = is_first and self._server.relay.is_idle
        tag = _Describing((prepared.shape, self._shape_there(prepared)), is_statement=True)
        self._wire.send(describe_message(prepared.name), _F.Describe, STATEMENT, tag)
        return prepared if is_there else None

    def _describe_portal(self, portal: bytes, frame: Frame) -> None:
        prepared = self._portals.get(portal)
        tag = None
        if prepared is not None:
            tag = _Describing((prepared.shape, self._shape_there(prepared)), is_statement=False)
        self._wire.send(frame.raw, _F.Describe, frame.raw[5], tag)

    def _on_foreign(self, name: bytes, frame: Frame) -> None:
        """Take a message about a statement that is none of ours: SQL's, or nobody's."""
        if not name:
            self._drop_unnamed()
        elif frame.type == _F.Bind:
            self._session.note_executed(as_text(name))
        # The name is the client's own: the server finds what SQL's PREPARE made, or nothing, and says so.
        self._wire.send(frame.raw, frame.type, STATEMENT if frame.type == _F.Describe else 0)

    def on_close(self, frame: Frame) -> None:
        """Take a Close: the server keeps the statement."""
        name = frame.raw[6:-1]
        if frame.raw[5] != STATEMENT:
            self._wire.send(frame.raw, _F.Close)
            return
        tag = _Closing(name, *self.forget(name))
        if tag.is_sql:
            self._wire.send(frame.raw, _F.Close, tag=tag)
        else:
            if as_text(name) in self._server.sql_prepared:  # lent
                self._wire.inject(close_message(name), _F.Close)
                self._server.sql_prepared.discard(as_text(name))
            self._wire.answer(CLOSE_COMPLETE, tag)

    def forget(self, name: bytes) -> tuple[Prepared | None, bool]:
        """Forget a statement; return it, and whether it is SQL's."""
        if name:
            prepared = self.statements.pop(name, None)
            return prepared, prepared is None and self._session.has_sql_prepared(as_text(name))
        prepared, self.unnamed = self.unnamed, None
        return prepared, False

    def forget_all(self) -> None:
        """Note DEALLOCATE ALL."""
        self.statements.clear()
        self._server.forget_prepared()

    def at_rest(self) -> None:
        """Note that there are no portals any more."""
        self._portals.clear()

    # -- statements on the server ----------------------------------------------------------------

    @property
    def _server(self) -> ServerMemory:
        assert self._wire.server is not None
        return self._wire.server

    def _find(self, name: bytes) -> Prepared | None:
        return self.statements.get(name) if name else self.unnamed

    def _shape_there(self, prepared: Prepared) -> Shape:
        server = self._server
        return server.prepared.get(prepared.name, Shape()) if prepared.name else server.unnamed_shape

    def _set_unnamed(self, prepared: Prepared) -> None:
        self._server.unnamed = prepared
        self._server.unnamed_shape = Shape()

    def _make_ready(self, prepared: Prepared, frame: Frame) -> bool:
        """Make sure that the server has a statement that fits what the client knows; False: not now."""
        if self._server.relay.is_skipping:
            return True  # nobody will read the message
        self.ensure(prepared)
        there = self._shape_there(prepared)
        if there.fits(prepared.shape):
            return True
        if there.knows(prepared.shape):
            self._wire.refuse(CHANGED)
            return False
        check = _Describing((there,), is_statement=True, is_check=True)
        self._wire.inject(describe_message(prepared.name), _F.Describe, check, STATEMENT)
        self._wire.inject(FLUSH, _F.Flush)
        self._session.hold(frame)
        return False

    def _drop_unnamed(self) -> None:
        """Take the unnamed statement away that the server may have: of somebody else."""
        self._wire.inject(close_message(b""), _F.Close)
        self._server.unnamed = None

    def ensure(self, prepared: Prepared) -> None:
        """Make sure that the server connection has a statement."""
        server = self._server
        tag = _Parsing(None, prepared)
        if not prepared.name:
            if server.unnamed is not prepared and self._wire.inject(parse_message(b"", prepared.body), _F.Parse, tag):
                self._set_unnamed(prepared)
        elif prepared.name in server.prepared:
            server.prepared.move_to_end(prepared.name)
        elif self._wire.inject(parse_message(prepared.name, prepared.body), _F.Parse, tag):
            server.prepared[prepared.name] = Shape()

    def lend(self, name: bytes) -> None:
        """Give a statement the client's own name on the server, for SQL's EXECUTE; ``restore`` takes it back."""
        server, prepared = self._server, self.statements.get(name)
        if prepared is None or as_text(name) in server.sql_prepared:
            return
        self._wire.inject(parse_message(name, prepared.body), _F.Parse, _Lending(as_text(name)))
        server.sql_prepared.add(as_text(name))
        self._session.own_sql_prepared()

    def expose(self) -> None:
        """Make the server's list of statements be the client's."""
        for name in list(self._server.prepared):
            self._drop(name)
        for name in self.statements:
            self.lend(name)

    def keep_only(self, names: frozenset[bytes]) -> None:
        """Take over what the server says that it has."""
        prepared = self._server.prepared
        for name in [name for name in prepared if name not in names]:
            del prepared[name]

    def renew(self, prepared: Prepared) -> None:
        """Make the server forget a statement that it refuses to run."""
        if prepared.name:
            self._drop(prepared.name)
        else:
            self._server.unnamed = None

    def with_client_names(self, raw: bytes) -> bytes:
        """Return an error with the names that the client knows."""
        names = {prepared.name: name for name, prepared in self.statements.items()}
        text = _OUR_NAME.sub(lambda found: names.get(found[0], found[0]), raw[5:])
        return raw[:1] + (len(text) + 4).to_bytes(4, "big") + text

    def evict(self) -> bool:
        """Make the server forget what was not used for long; only between two batches. Return whether it is asked."""
        prepared = self._server.prepared
        surplus = len(prepared) - self._shared.max_prepared
        for name in list(prepared)[: max(surplus, 0)]:
            self._drop(name)
        return surplus > 0

    # -- how it ended ----------------------------------------------------------------------------

    def finished(self, tag: object, outcome: Outcome) -> None:
        """Take what became of a request."""
        if isinstance(tag, _Parsing):
            if outcome is not Outcome.DONE:
                self._undo_parse(tag)
        elif isinstance(tag, _Lending):
            if outcome is not Outcome.DONE:
                self._server.sql_prepared.discard(tag.name)
        elif isinstance(tag, _Describing):
            self._finish_describe(tag, outcome)
        elif isinstance(tag, _Closing):
            if outcome is Outcome.DONE:
                if tag.is_sql:
                    self._session.drop_sql_prepared(as_text(tag.name))
            elif tag.prepared is not None and tag.name and not tag.prepared.is_void:
                self.statements.setdefault(tag.name, tag.prepared)

    def _finish_describe(self, tag: _Describing, outcome: Outcome) -> None:
        if outcome is Outcome.DONE:
            for shape in tag.shapes:
                shape.rows = self._session.last_reply
                if tag.is_statement:
                    shape.parameters = self._session.last_parameters
        if tag.is_check:
            self._session.go_on()

    def _undo_parse(self, tag: _Parsing) -> None:
        server, prepared = self._server, tag.prepared
        prepared.is_void = tag.name is not None
        if prepared.name:
            server.prepared.pop(prepared.name, None)
        elif server.unnamed is prepared:
            server.unnamed = None
        if tag.name is None:
            return
        if tag.name and self.statements.get(tag.name) is prepared:
            if tag.previous is None or tag.previous.is_void:
                del self.statements[tag.name]
            else:
                self.statements[tag.name] = tag.previous
        elif not tag.name and self.unnamed is prepared:
            self.unnamed = None


def as_text(raw: bytes) -> str:
    """Return an SQL text; what is no UTF-8 keeps its ASCII part, which is all that the parser's verdict needs."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
