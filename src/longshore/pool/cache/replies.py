"""Answers of the cache as the client expects them (PURE): statements are made, told and forgotten as by the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.cache.shapes import KnownShape
from longshore.pool.session.extended import as_text
from longshore.pool.session.prepared import Prepared, StatementKey
from longshore.pool.session.rename import PARSE_COMPLETE
from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.wire import HEADER
from longshore.sql.classify import classify

if TYPE_CHECKING:
    from longshore.pool.cache.asking import Asking
    from longshore.pool.cache.batch import Batch, Parsed
    from longshore.pool.cache.memory import Entry
    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.cache.question import Question
    from longshore.pool.session.engine import SessionEngine

__all__ = ["Replies"]

_BIND_COMPLETE: Final = b"2\x00\x00\x00\x04"
_READY_IDLE: Final = b"Z\x00\x00\x00\x05I"
_PARAMETERS: Final = int(BackendType.ParameterDescription)
_ROWS: Final = int(BackendType.RowDescription)
_NO_MAIN_KEY: Final = "shape"


class Replies:
    """Of one session.

    Args:
        session: whose.
        cache: of its pool.
        asking: what it asks.
    """

    def __init__(self, session: SessionEngine, cache: PoolCache, asking: Asking) -> None:
        self._session = session
        self._cache = cache
        self._asking = asking
        self._learning: tuple[tuple[object, ...], bytes, int, float] | None = None

    def source(self, batch: Batch) -> tuple[bytes, Prepared | None] | None:
        """Return text and types that a batch is about, and the statement; None where only the server can tell."""
        if batch.query is not None:
            return batch.query + b"\0", None
        if (parse := batch.parse) is not None:
            return (parse.body, None) if self._is_free(parse.name) else None
        prepared = self._find(batch.name)
        if prepared is None or prepared.is_void or not prepared.body:
            return None
        return prepared.body, prepared

    def _is_free(self, name: bytes) -> bool:
        session = self._session
        return not name or (name not in session.extended.statements and not session.has_sql_prepared(as_text(name)))

    def _find(self, name: bytes) -> Prepared | None:
        extended = self._session.extended
        return extended.statements.get(name) if name else extended.unnamed

    # -- reads -----------------------------------------------------------------------------------

    def serve(self, question: Question, entry: Entry) -> None:
        """Answer the batch at the head of the client's messages."""
        session = self._session
        for _ in range(question.batch.frames):
            session.inbox.popleft()
        session.wire.to_client.append(self.reply(question, entry))

    def reply(self, question: Question, entry: Entry) -> bytes:
        """Return what the client gets, and make the session be as if the server had sent it."""
        session, batch = self._session, question.batch
        if batch.query is not None:
            session.extended.unnamed = None  # as the server does
            return entry.tail + _READY_IDLE
        prepared = question.prepared if batch.parse is None else self._make(batch.parse)
        assert prepared is not None
        if batch.describes_statement:
            _tell(prepared, entry.head)
        elif batch.describes_portal:
            _tell(prepared, entry.tail)
        parse_complete = PARSE_COMPLETE if batch.parse is not None else b""
        return b"".join((parse_complete, entry.head, _BIND_COMPLETE, entry.tail, _READY_IDLE))

    def _make(self, parse: Parsed) -> Prepared:
        """Make a statement of which the server does not know yet: ``ExtendedProtocol.ensure`` will tell it."""
        session = self._session
        text = as_text(parse.text)
        prepared = Prepared(parse.body, b"", classify(text), text)
        if parse.name:
            prepared.name = session.shared.names.name(StatementKey(parse.body, session.meaning()))
            session.extended.statements[parse.name] = prepared
        else:
            session.extended.unnamed = prepared
        return prepared

    # -- preparations ----------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> bool:
        """Answer Parse, Describe or both from what the database has said about the same; False: it has to be asked."""
        source = self.source(batch)
        session = self._session
        if source is None or session.belongings.pins or session.channels:
            return False
        key = (_NO_MAIN_KEY, *self._asking.identity(), source[0])
        epoch, cache = session.shared.epoch, self._cache
        shape = cache.shapes.find(key, epoch, cache.rules.max_age_s)
        prepared = source[1]
        if shape is None:
            self._learning = (key, batch.name, epoch, cache.cache.clock())
            return False
        if prepared is not None and prepared.shape.rows not in (None, shape.rows):
            return False  # the server will say that it has changed
        for _ in range(batch.frames):
            session.inbox.popleft()
        if batch.parse is not None:
            prepared = self._make(batch.parse)
            session.wire.to_client.append(PARSE_COMPLETE)
        assert prepared is not None
        if batch.describes_statement:
            prepared.shape.parameters, prepared.shape.rows = shape.parameters, shape.rows
            session.wire.to_client.append(shape.parameters + shape.rows)
        if not batch.is_flushed:
            session.wire.to_client.append(_READY_IDLE)
        return True

    def learn(self) -> None:
        """Remember what the server has said about a statement."""
        if self._learning is None:
            return
        key, name, epoch, asked_at = self._learning
        prepared = self._find(name)
        if prepared is None or prepared.is_void:
            return
        if prepared.body != key[-1]:  # that failed, and this is another one of the same name
            self._learning = None
            return
        shape = prepared.shape
        if shape.parameters is not None and shape.rows is not None and shape.rows[0] == _ROWS:
            self._learning = None
            self._cache.shapes.note(key, KnownShape(shape.parameters, shape.rows, epoch, asked_at))


def _tell(prepared: Prepared, raw: bytes) -> None:
    """Note what the client is told of a statement, at the beginning of ``raw``."""
    position = 0
    while position < len(raw):
        kind, length = HEADER.unpack_from(raw, position)
        end = position + 1 + length
        if kind == _PARAMETERS:
            prepared.shape.parameters = raw[position:end]
        elif kind == _ROWS:
            prepared.shape.rows = raw[position:end]
            return
        else:
            return
        position = end
