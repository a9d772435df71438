"""What a session writes, noted when it is sent (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import Reason
from longshore.pool.cache.writes import PendingWrites
from longshore.pool.session.belongings import TEMPORARY
from longshore.pool.session.extended import as_text
from longshore.pool.session.rename import bind_names
from longshore.proto.postgres.constants import FrontendType, TransactionStatus
from longshore.proto.postgres.framing import Frame, FrameStart
from longshore.sql.classify import classify
from longshore.sql.facts import Effect, Kind

if TYPE_CHECKING:
    from longshore.pool.cache.asking import Asking
    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.session.engine import SessionEngine
    from longshore.proto.postgres.framing import FrameEvent
    from longshore.sql.facts import Statement, TextFacts

__all__ = ["WriteNotes", "may_change_path"]

_QUERY, _BIND, _CALL = int(FrontendType.Query), int(FrontendType.Bind), int(FrontendType.FunctionCall)
_UNREAD: Final = (_QUERY, _BIND, _CALL)


_OPENING: Final = Effect.SETTINGS | Effect.ANYTHING
_PATH: Final = frozenset({"search_path", "role", "session_authorization", "all", "session authorization"})


def may_change_path(statement: Statement) -> bool:
    """Return whether names may mean something else behind it."""
    return _says_so(statement) or Effect.ANYTHING in statement.effects


def _says_so(statement: Statement) -> bool:
    is_set = statement.kind in (Kind.SET, Kind.RESET) and statement.name in _PATH
    return is_set or bool(statement.effects & _OPENING & ~Effect.ANYTHING) or bool(statement.settings)


class WriteNotes:
    """Of one session.

    Args:
        session: whose.
        cache: of its pool.
        asking: what it asks.
    """

    def __init__(self, session: SessionEngine, cache: PoolCache, asking: Asking) -> None:
        self.counted: Frame | None = None
        """The read that has been counted already."""
        self._session = session
        self._cache = cache
        self._asking = asking
        self._is_path_open = False  # a transaction that is not over may have changed what names mean

    def at_rest(self) -> None:
        """Take that the session's settings are known again."""
        self._is_path_open = False

    def sent(self, event: FrameEvent) -> None:
        """Take a message on its way to the server."""
        if isinstance(event, FrameStart):
            if event.type in _UNREAD:
                self._add(None, changes_catalogue=event.type != _BIND)
        elif isinstance(event, Frame):
            if event.type == _QUERY:
                text, facts = self._session.read(event.raw[5:-1])
                self._note(facts, text, event)
            elif event.type == _BIND:
                self._note_bind(event)
            elif event.type == _CALL:
                self._add(None)

    def _note_bind(self, frame: Frame) -> None:
        extended = self._session.extended
        try:
            _, name = bind_names(frame.raw)
        except ValueError:
            return  # the session ends for it
        prepared = extended.statements.get(name) if name else extended.unnamed
        if prepared is not None:
            self._note(prepared.facts, prepared.text, frame)
        else:
            self._note_executed(as_text(name))

    def _note(self, facts: TextFacts, text: str, frame: Frame) -> None:
        if frame is self.counted:
            self.counted = None
        elif (single := facts.single) is not None and single.kind is Kind.READ:
            self._cache.outside.note(self._why(), text, 0, "")
        for statement in facts.statements:
            if statement.kind is Kind.EXECUTE:
                self._note_executed(statement.name)
        if (single := facts.single) is not None and single.kind is Kind.EXECUTE:
            return
        self._is_path_open = self._is_path_open or self._opens_path(facts)
        path = self._path()
        written = self._cache.written(facts, path, has_temporary=self._has_temporary())
        changes = facts.changes_catalogue and self._changes_catalogue(facts, path)
        if written is None or written or changes:
            self._add(written, changes_catalogue=changes)

    def _opens_path(self, facts: TextFacts) -> bool:
        """Return whether a text may change what names mean; code of users does not if it leaves nothing."""
        if not any(map(may_change_path, facts.statements)):
            return False
        catalogue = self._session.shared.known_catalogue()
        return any(map(_says_so, facts.statements)) or catalogue is None or not catalogue.leaves_nothing(facts, None)

    def _changes_catalogue(self, facts: TextFacts, path: tuple[str, ...] | None) -> bool:
        catalogue = self._session.shared.known_catalogue()
        return catalogue is None or path is None or catalogue.changes_catalogue(facts, path)

    def _why(self) -> Reason:
        """Return why a read went past the cache."""
        server = self._session.wire.server
        if self._session.belongings.pins:
            return Reason.PINNED
        if server is not None and server.relay.status is not TransactionStatus.IDLE:
            return Reason.TRANSACTION
        return Reason.PARTIAL

    def _note_executed(self, name: str) -> None:
        """Note that a statement made by SQL's PREPARE, or lent to it, is about to run."""
        text = self._session.belongings.sql_prepared.get(name)
        facts = None
        if text is not None and (single := classify(text).single) is not None:
            facts = single.inner
        catalogue, path = self._session.shared.known_catalogue(), self._path()
        if facts is None or catalogue is None or path is None:
            self._is_path_open = True
            self._add(None, changes_catalogue=True)
            return
        self._is_path_open |= may_change_path(facts)
        written = catalogue.written(facts, path, has_temporary=self._has_temporary())
        if written is None or written:
            self._add(written)

    def _path(self) -> tuple[str, ...] | None:
        """Return where the server looks for names now; None when that is not known."""
        catalogue = self._session.shared.known_catalogue()
        if catalogue is None or self._is_path_open:
            return None
        return self._asking.path(catalogue)

    def _has_temporary(self) -> bool:
        session = self._session
        return TEMPORARY in session.belongings.pins or bool(session.unit.effects & Effect.TEMPORARY)

    def _add(self, written: frozenset[int] | None, *, changes_catalogue: bool = False) -> None:
        server = self._session.wire.server
        assert server is not None
        if server.writes is None:
            server.writes = PendingWrites(self._session.shared.epoch)
        server.writes.add(written, changes_catalogue=changes_catalogue)
