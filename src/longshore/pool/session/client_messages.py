"""What a session does with the messages of its client (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.session.belongings import PROCESS
from longshore.pool.session.listening import Listening
from longshore.pool.session.long_message import LongHead
from longshore.pool.session.rename import SYNC, parse_message
from longshore.pool.session.retry import Attempt
from longshore.pool.session.sequences import UNKNOWN_VALUE_SQL, may_read
from longshore.pool.session.tags import Deallocating, Replay, Unread
from longshore.pool.session.trust import Trust
from longshore.proto.postgres.constants import FrontendType
from longshore.proto.postgres.framing import Frame, FrameChunk, FrameStart
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.sql.classify import classify
from longshore.sql.facts import UNKNOWN_TEXT, Effect, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.proto.postgres.framing import FrameEvent
    from longshore.sql.facts import TextFacts

__all__ = ["HANDLERS", "ClientMessages"]

_F = FrontendType
_PINS: Final = ((Effect.LIBRARY, PROCESS), (Effect.BACKEND_PID, "process id"))
_GONE: Final = parse_message(b"longshore_gone", b"SELECT 1\0\0\0")
_DEALLOCATE_GONE: Final = serialize(Query(b"DEALLOCATE longshore_gone"))
_NO_VALUE: Final = serialize(Query(UNKNOWN_VALUE_SQL))
_MAX_DOTTED: Final = 100
_ENDS: Final = (_F.Query, _F.Sync, _F.FunctionCall)
_LONG: Final = "statement too long to be kept"


class ClientMessages(Trust, Listening):
    """See ``SessionEngine``."""

    _stream_to: list[bytes] | None = None
    """Where the rest of a long message goes."""
    _long: LongHead | None = None
    """A long message whose names have not come yet."""

    def take(self, event: FrameEvent) -> None:
        """Take a message, with a server connection."""
        if self.attempt is not None:
            self.attempt.add(event)
        if self.desk is not None:
            self.desk.sent(event)
        if isinstance(event, Frame):
            handler = HANDLERS.get(event.type)
            if handler is None:
                self.wire.send(event.raw, event.type)
            else:
                self._handle(handler, event)
            if self.is_listening and event.type in _ENDS:
                self.bar()
        elif isinstance(event, FrameStart):
            self._start_stream(event)
        elif isinstance(event, FrameChunk):
            self._take_chunk(event)

    def _handle(self, handler: Callable[[ClientMessages, Frame], None], frame: Frame) -> None:
        try:
            handler(self, frame)
        except ProtocolViolation:
            raise
        except (ValueError, IndexError) as exc:  # the message is shorter than it says
            raise ProtocolViolation(f"malformed: {exc}", message_type=frame.type) from exc

    # -- long messages ---------------------------------------------------------------------------

    def _start_stream(self, event: FrameStart) -> None:
        """Pass on a message that is too long to be kept."""
        if event.type in (_F.Parse, _F.Bind):
            self._long = LongHead(event)
            return
        if event.type == _F.Query:
            self._forget_unnamed()
            self.unit.note_unknown()
        elif event.type == _F.FunctionCall:
            self.unit.note_unknown()
        self._stream(self.wire.send(event.raw, event.type))

    def _stream(self, is_sent: bool) -> None:
        self._stream_to = self.wire.to_server if is_sent else []
        self.is_in_message = is_sent

    def _take_chunk(self, event: FrameChunk) -> None:
        if self._long is not None:
            head, self._long = self._long, None
            if not head.add(event):
                self._long = head
            elif head.type == _F.Parse:
                self._stream(self.extended.on_long_parse(head))
                self.belongings.pin(_LONG, "")
            else:
                self._stream(self.extended.on_long_bind(head))
        elif self._stream_to is not None:
            self._stream_to.append(event.raw)
        if event.is_last:
            self._stream_to = None
            self.is_in_message = False

    # -- simple queries --------------------------------------------------------------------------

    def on_query(self, frame: Frame) -> None:
        """Take a Query."""
        text, facts = self.read(frame.raw[5:-1])
        self._forget_unnamed()
        if facts.is_plain:
            if facts.moves_sequence:
                self._note_sequence()
            if facts.changes_catalogue:
                self.note_change()
                self.unit.note(facts, text)
            self.wire.send(frame.raw, _F.Query)
            return
        if (single := facts.single) is not None and single.kind is Kind.DEALLOCATE and self._deallocate(single.name):
            return
        if facts is UNKNOWN_TEXT:
            self.wire.send(frame.raw, _F.Query, tag=Unread(facts, text))
        else:
            assert self.wire.server is not None
            relay = self.wire.server.relay
            was_unsynced = relay.is_unsynced
            raw = frame.raw if self.note(facts, text) else _NO_VALUE
            if relay.is_unsynced and not was_unsynced:
                self.wire.inject(SYNC, _F.Sync)  # or the server would skip the query if what we put in failed
            self.wire.send(raw, _F.Query)

    def _forget_unnamed(self) -> None:
        """Do as the server does with a simple query."""
        assert self.wire.server is not None
        self.extended.unnamed = self.wire.server.unnamed = None

    def _deallocate(self, name: str) -> bool:
        """Do DEALLOCATE for a statement that the server knows by another name."""
        prepared = self.extended.statements.get(name.encode()) if name else None
        if prepared is None:
            return False
        # Something else goes instead, so that the client hears what the server has to say to a DEALLOCATE.
        self.wire.inject(_GONE, _F.Parse, Replay(""))
        self.wire.inject(SYNC, _F.Sync)
        self.wire.send(_DEALLOCATE_GONE, _F.Query, tag=Deallocating(name.encode(), prepared))
        return True

    def on_function_call(self, frame: Frame) -> None:
        """Take a FunctionCall."""
        self.unit.note_unknown()
        self.wire.send(frame.raw, frame.type)

    def on_terminate(self, _: Frame) -> None:
        """Take a Terminate, which the server never sees."""
        self.is_ended = True

    # -- what it may leave behind ----------------------------------------------------------------

    def note(self, facts: TextFacts, text: str) -> bool:
        """Take a text that is about to run; False when it must not."""
        assert self.wire.server is not None
        facts = self.trusted(facts)
        if facts.changes_catalogue:
            self.note_change()
        effects = facts.effects
        if effects & Effect.SEQUENCE_IS_READ:
            if not may_read(self, facts):
                return False
            self.belongings.pin("sequence value", text)
        if facts.moves_sequence:
            self._note_sequence()
        self.unit.note(facts, text)
        if effects or facts.changes_catalogue:
            self.last_text = text
        if effects & Effect.LISTENS:
            self.note_listening()
        for effect, reason in _PINS:
            if effects & effect:
                self.belongings.pin(reason, text)
        self._note_outside(facts)
        self._note_statements(facts)
        return True

    def _note_statements(self, facts: TextFacts) -> None:
        """Note the names that statements speak of."""
        for statement in facts.statements:
            if facts.effects & Effect.SETTINGS:
                self._note_names((statement.name, *statement.settings))
            if statement.executes:
                self.note_executed(statement.executes)

    def _note_outside(self, facts: TextFacts) -> None:
        """Note what others may see of it, or it of others."""
        effects = facts.effects
        if effects & (Effect.NOTIFIES | Effect.ANYTHING | Effect.BACKEND_PID):
            self._note_notifier(effects)
        if effects & Effect.DATABASE:
            for statement in facts.statements:
                if statement.effects & Effect.DATABASE:
                    self.shared.on_database_wanted(statement.name)
        if facts.reads_prepared:
            self.extended.expose()

    def note_executed(self, name: str) -> None:
        """Note that a statement made by SQL's PREPARE is about to run."""
        self.extended.lend(name.encode())
        text = self.belongings.sql_prepared.get(name)
        inner = None
        if text is not None and (single := classify(text).single) is not None:
            inner = single.inner
        if inner is None:
            if name.encode() not in self.extended.statements:
                self.unit.note_unknown()
            return
        self.unit.effects |= inner.effects
        self.unit.is_murky |= bool(inner.effects & Effect.SETTINGS)

    def _note_names(self, names: Iterable[str]) -> None:
        """Remember parameters that only their names lead to."""
        if len(self.shared.dotted_names) < _MAX_DOTTED:
            self.shared.dotted_names.update(name for name in names if "." in name)

    def _note_notifier(self, effects: Effect) -> None:
        """Remember which process id those who listen are to be told: the one that this client knows as its own."""
        assert self.wire.server is not None
        if effects & Effect.BACKEND_PID or "process id" in self.belongings.pins:
            self.shared.notifiers.pop(self.wire.server.pid, None)
        else:
            self.shared.notifiers[self.wire.server.pid] = self.pid

    def _note_sequence(self) -> None:
        server = self.wire.server
        assert server is not None
        server.sequence_owner = self.session_id
        self.sequence_server = server.server_id

    sequence_server: int | None = None
    """Where the session may have moved a sequence last."""

    def _on_parse(self, frame: Frame) -> None:
        self.extended.on_parse(frame)

    def _on_bind(self, frame: Frame) -> None:
        if (prepared := self.extended.on_bind(frame)) is not None:
            self.attempt = Attempt(prepared, frame)

    def _on_describe(self, frame: Frame) -> None:
        if (prepared := self.extended.on_describe(frame)) is not None:
            self.attempt = Attempt(prepared, frame)

    def _on_close(self, frame: Frame) -> None:
        self.extended.on_close(frame)


HANDLERS: Final[dict[int, Callable[[ClientMessages, Frame], None]]] = {
    _F.Query: ClientMessages.on_query,
    _F.Parse: ClientMessages._on_parse,
    _F.Bind: ClientMessages._on_bind,
    _F.Describe: ClientMessages._on_describe,
    _F.Close: ClientMessages._on_close,
    _F.FunctionCall: ClientMessages.on_function_call,
    _F.Terminate: ClientMessages.on_terminate,
}
