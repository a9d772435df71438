"""The usual transaction without the session engine (PURE): one read or write, outside a transaction block, all at once.

What a client sends is *recognised* by its bytes: a Query whose text is known to be plain, or Bind, Describe, Execute
and Sync of a statement that the server connection has, or the same behind a Parse of the unnamed statement. It goes out
as the engine would send it, and the reply is checked message by message: only what such a reply consists of, up to
ReadyForQuery, and nothing behind it. Then the few things are noted that the engine would have noted.

Whatever else happens (an error, a notice, half a reply, a second batch of the client, a cancel) is the engine's: it is
given the client's bytes and the connection, and is then where it would have been. So until the reply is complete
nothing of the session is changed here, apart from what the engine would change in the same way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from longshore.pool.session.prepared import Prepared
from longshore.pool.session.rename import renamed_bind
from longshore.pool.session.shape import Shape
from longshore.sql.classify import classify

if TYPE_CHECKING:
    from longshore.pool.cache.lane_pass import LanePass
    from longshore.pool.session.engine import SessionEngine
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.sql.facts import TextFacts

__all__ = ["PARSE_COMPLETE", "FastLane"]

_MAX_BYTES: Final = 2048
"""Longer messages are not worth a place in the memory."""
_MAX_KNOWN: Final = 10_000
_MAX_REUSES: Final = 4
"""PostgreSQL thinks of a plan for any values when a statement runs for the sixth time."""
_QUERY: Final = 0x51
_PARSE: Final = 0x50
_BIND: Final = 0x42
_ROW_DESCRIPTION: Final = 0x54
_NO_DATA: Final = 0x6E
_DATA_ROW: Final = 0x44
_COMMAND_COMPLETE: Final = 0x43
_EMPTY_QUERY: Final = 0x49
_HEADER_BYTES: Final = 5
PARSE_COMPLETE: Final = b"1\0\0\0\x04"
_BIND_COMPLETE: Final = b"2\0\0\0\x04"
_PARSE_AND_BIND_COMPLETE: Final = PARSE_COMPLETE + _BIND_COMPLETE
_READY_IDLE: Final = b"Z\0\0\0\x05I"
_EXECUTE_SYNC: Final = b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"
_DESCRIBE_EXECUTE_SYNC: Final = b"D\0\0\0\x06P\0" + _EXECUTE_SYNC

# Numbers are the same to a text that is plain, see `longshore.sql.classify`. With every digit made a zero, texts of
# equal length have the same key just if they differ in digits only; then the digits stand in the same places.
_ZEROS: Final = bytes(0x30 if 0x30 <= code <= 0x39 else code for code in range(256))
_DIGITS: Final = re.compile(rb"[0-9]+")
_ATTACHED: Final = re.compile(rb"[A-Za-z_.$\x80-\xff][0-9]|[0-9][A-Za-z_.$\x80-\xff]")
_NUMBERED: Final = re.compile(rb"\s*(?:select|insert|update|delete|with)\b[^'\"$\\]*\Z", re.IGNORECASE)

_UNFIT: Final = b""

_numbered: dict[bytes, tuple[bytes, bool, TextFacts | None]] = {}
"""By message with zeros for its digits: its header (``_UNFIT``: not for the lane), whether it may move a sequence, and
its facts."""
_exact: dict[bytes, tuple[bytes, bool, TextFacts | None]] = {}
"""The same by message."""
_parses: dict[bytes, tuple[bytes, str, TextFacts] | None] = {}
"""By message: body, text, facts."""


class FastLane:
    """The lane of one session.

    Args:
        engine: of the session.
    """

    __slots__ = (
        "_cache",
        "_engine",
        "_facts",
        "_is_described",
        "_is_query",
        "_meaning",
        "_moves_sequence",
        "_parsed",
        "_prepared",
        "data",
        "is_parse_left_out",
        "memory",
    )

    def __init__(self, engine: SessionEngine) -> None:
        self.data: bytes | None = None
        """What the client has sent, while it is on its way here."""
        self.memory: ServerMemory | None = None
        """Of the server connection that it was sent to."""
        self._engine = engine
        self._cache: LanePass | None = None
        self._facts: TextFacts | None = None
        self._is_query = False
        self._is_described = False
        self.is_parse_left_out = False
        """It was sent without its Parse: the client is to be told ParseComplete by us."""
        self._meaning: tuple[object, ...] = ()
        self._moves_sequence = False
        self._prepared: Prepared | None = None
        self._parsed: tuple[bytes, str, TextFacts] | None = None

    def begin(self, data: bytes) -> bool:
        """Take what a client without a server connection has sent; False: it is for the engine."""
        engine = self._engine
        belongings = engine.belongings
        if belongings.pins or belongings.sql_prepared or engine.channels:
            return False
        if engine.inbox or engine.is_ended or engine.is_skipping_alone or engine.failure is not None:
            return False
        if engine.shared.is_session_mode or not _is_read_alike(engine.parameters):
            return False
        code = data[0]
        if code == _QUERY:
            is_known = self._is_known_query(data)
        elif code == _BIND:
            self._parsed = None
            is_known = self._is_known_bind(data, 0)
        elif code == _PARSE:
            is_known = self._is_known_parse(data)
        else:
            return False
        if is_known and engine.desk is not None:
            self._cache = engine.desk.lane()
            is_known = self._cache is not None and self._cache.take(*self._statement(data))
        if is_known:
            self.data = data
        return is_known

    def _statement(self, data: bytes) -> tuple[TextFacts, str]:
        """Return what is about to be asked, in a query that was recognised."""
        if self._parsed is not None:
            return self._parsed[2], self._parsed[1]
        if self._prepared is not None:
            return self._prepared.facts, self._prepared.text
        assert self._facts is not None
        return self._facts, data[_HEADER_BYTES:-1].decode()

    def _is_known_query(self, data: bytes) -> bool:
        if not _HEADER_BYTES < len(data) <= _MAX_BYTES:
            return False
        known = _numbered.get(data.translate(_ZEROS)) or _exact.get(data) or _learn_query(data)
        # A length may differ in what looks like a digit, too.
        if known[0] != data[:_HEADER_BYTES]:
            return False
        self._is_query = self._is_described = True
        self._moves_sequence = known[1]
        self._facts = known[2]
        self._prepared = self._parsed = None
        return True

    def _is_known_parse(self, data: bytes) -> bool:
        end = int.from_bytes(data[1:5], "big") + 1
        # A compiled slice must not begin behind its end.
        if end <= _HEADER_BYTES or end + 7 > len(data) or end > _MAX_BYTES or data[end] != _BIND:
            return False
        message = data[:end]
        parsed = _parses[message] if message in _parses else _learn_parse(message)
        if parsed is None or data[end + 5 : end + 7] != b"\0\0":
            return False
        self._parsed = parsed
        return self._is_known_bind(data, end)

    def _is_known_bind(self, data: bytes, start: int) -> bool:
        """Recognise a Bind that begins at ``start``, and the usual messages behind it."""
        self._is_described = data.endswith(_DESCRIBE_EXECUTE_SYNC)
        if not self._is_described and not data.endswith(_EXECUTE_SYNC):
            return False
        tail = len(_DESCRIBE_EXECUTE_SYNC) if self._is_described else len(_EXECUTE_SYNC)
        end = start + 1 + int.from_bytes(data[start + 1 : start + 5], "big")
        if end != len(data) - tail or end < start + 7 or data[start + 5]:
            return False
        self._is_query = self._moves_sequence = False
        self._prepared = None
        if self._parsed is not None:
            self._moves_sequence = self._parsed[2].moves_sequence
            return True
        name_end = data.find(0, 6)
        if not 6 < name_end < end:
            return False
        prepared = self._engine.extended.statements.get(data[6:name_end])
        if prepared is None or not prepared.facts.is_plain or prepared.facts.changes_catalogue:
            return False
        self._moves_sequence = prepared.facts.moves_sequence
        self._prepared = prepared
        return True

    def send(self, memory: ServerMemory) -> bytes | None:
        """Return what goes to this server connection, which nobody else uses; None: it is for the engine."""
        engine = self._engine
        belongings = engine.belongings
        data = self.data
        assert data is not None
        self.is_parse_left_out = False
        if memory.sql_prepared or memory.settings != belongings.settings or memory.parameters != engine.parameters:
            return None
        if memory.suspect is not None and memory.suspect != engine.session_id:
            return None
        if memory.cancels or memory.listens or len(memory.prepared) > engine.shared.max_prepared:
            return None
        if self._cache is not None and not self._cache.send(memory):
            return None
        prepared = self._prepared
        if prepared is not None:
            shape = memory.prepared.get(prepared.name)
            if shape is None or not shape.fits(prepared.shape):
                return None
            memory.prepared.move_to_end(prepared.name)
            end = len(data) - (len(_DESCRIBE_EXECUTE_SYNC) if self._is_described else len(_EXECUTE_SYNC))
            data = renamed_bind(data[:end], prepared.name) + data[end:]
        elif self._parsed is not None:
            data = self._without_parse(memory, data, self._parsed[0])
        if self._moves_sequence:
            memory.sequence_owner = engine.session_id
            engine.sequence_server = memory.server_id
        self.memory = memory
        return data

    def _without_parse(self, memory: ServerMemory, data: bytes, body: bytes) -> bytes:
        """Leave the Parse out where the server's unnamed statement is just that, and not for ever.

        Where it is not any more (somebody else has changed the catalogue), Bind fails, and all of it is sent again.
        """
        self._meaning = self._engine.belongings.meaning()
        reusable = memory.reusable
        self.is_parse_left_out = (
            reusable is not None
            and reusable is memory.unnamed
            and reusable.body == body
            and memory.reuses < _MAX_REUSES
            and memory.reusable_meaning == self._meaning
            and not self._engine.shared.changing
        )
        memory.reusable = None
        return data[1 + int.from_bytes(data[1:5], "big") :] if self.is_parse_left_out else data

    def finish(self, reply: bytes) -> bool:
        """Take what the server has sent; True when it is the whole reply, and nothing but what one expects."""
        memory = self.memory
        assert memory is not None
        rows = self._check(reply)
        if rows is None:
            return False
        engine = self._engine
        if self._is_query:
            engine.extended.unnamed = memory.unnamed = None
        elif self._parsed is not None:
            body, text, facts = self._parsed
            engine.extended.unnamed = memory.unnamed = Prepared(body, b"", facts, text)
            memory.unnamed_shape = Shape()
            memory.reuses = memory.reuses + 1 if self.is_parse_left_out else 0
            memory.reusable, memory.reusable_meaning = memory.unnamed, self._meaning
        elif self._is_described:
            prepared = self._prepared
            assert prepared is not None
            prepared.shape.rows = memory.prepared[prepared.name].rows = rows
        if self._cache is not None:
            self._cache.finish(memory)
        self.data = self.memory = None
        return True

    def must_repeat(self, reply: bytes) -> bool:
        """Whether Bind has failed, perhaps because the Parse was left out."""
        return self.is_parse_left_out and reply[:1] == b"E"

    def _check(self, reply: bytes) -> bytes | None:
        """Return the description of the rows; empty where there is none, None where the reply is not as expected."""
        position = self._check_steps(reply)
        # ReadyForQuery at the very end, outside a transaction.
        if position < 0 or not reply.endswith(_READY_IDLE):
            return None
        rows = b""
        code = reply[position]
        if code in (_ROW_DESCRIPTION, _NO_DATA):
            if not self._is_described or (self._is_query and code == _NO_DATA):
                return None
            end = position + 1 + int.from_bytes(reply[position + 1 : position + 5], "big")
            rows = reply[position:end]
            position = end
        elif self._is_described and not self._is_query:
            return None
        return rows if _is_result(reply, position) else None

    def _check_steps(self, reply: bytes) -> int:
        """Return where the answers to Parse and Bind end; -1 where they are not as expected."""
        if self._is_query:
            return 0
        is_parsed = self._parsed is not None and not self.is_parse_left_out
        expected = _PARSE_AND_BIND_COMPLETE if is_parsed else _BIND_COMPLETE
        return len(expected) if reply.startswith(expected) else -1

    def give_up(self) -> bytes:
        """Return what the client has sent, for the engine."""
        data, self.data, self.memory = self.data, None, None
        assert data is not None
        if self._engine.desk is not None:
            self._engine.desk.leave_lane()
        return data


def _is_read_alike(parameters: dict[bytes, bytes]) -> bool:
    """Return whether the server reads a text as the parser does."""
    get = parameters.get
    return get(b"standard_conforming_strings", b"on") == b"on" and get(b"client_encoding", b"UTF8") == b"UTF8"


def _is_result(reply: bytes, position: int) -> bool:
    """Return whether rows, the end of one command and ReadyForQuery stand there, and nothing behind."""
    size = len(reply)
    while position < size and reply[position] == _DATA_ROW:
        position += 1 + int.from_bytes(reply[position + 1 : position + 5], "big")
    # Of DEALLOCATE ALL and DISCARD ALL, whose end the engine would note, nothing is plain.
    if position >= size or (reply[position] != _COMMAND_COMPLETE and reply[position] != _EMPTY_QUERY):
        return False
    position += 1 + int.from_bytes(reply[position + 1 : position + 5], "big")
    return position == size - len(_READY_IDLE)


def _learn_query(data: bytes) -> tuple[bytes, bool, TextFacts | None]:
    """Find out whether a Query is plain, for it and for those that differ in their numbers."""
    text = data[_HEADER_BYTES:-1]
    if int.from_bytes(data[1:5], "big") != len(data) - 1 or data[-1] != 0 or 0 in text:
        return (_UNFIT, False, None)  # not one message: the next one will not be the same
    if _NUMBERED.match(text) is not None and _ATTACHED.search(text) is None:
        known = _judged(data, _DIGITS.sub(b"0", text))
        if known[0]:
            _keep(_numbered, data.translate(_ZEROS), known)
            return known
    known = _judged(data, text)
    _keep(_exact, data, known)
    return known


def _keep(
    memory: dict[bytes, tuple[bytes, bool, TextFacts | None]], key: bytes, known: tuple[bytes, bool, TextFacts | None]
) -> None:
    if len(memory) >= _MAX_KNOWN:
        memory.clear()
    memory[key] = known


def _judged(data: bytes, raw_text: bytes) -> tuple[bytes, bool, TextFacts | None]:
    facts = _facts(raw_text)
    if facts is None or not facts.is_plain or facts.changes_catalogue:
        return (_UNFIT, False, None)
    return (data[:_HEADER_BYTES], facts.moves_sequence, facts)


def _facts(raw_text: bytes) -> TextFacts | None:
    try:
        return classify(raw_text.decode())
    except UnicodeDecodeError:
        return None


def _learn_parse(message: bytes) -> tuple[bytes, str, TextFacts] | None:
    """Find out whether a Parse of the unnamed statement is plain."""
    parsed = None
    text_end = message.find(0, 6)
    if message[5] == 0 and text_end > 0:
        facts = _facts(message[6:text_end])
        if facts is not None and facts.is_plain and not facts.changes_catalogue:
            parsed = (message[6:], message[6:text_end].decode(), facts)
    if len(_parses) >= _MAX_KNOWN:
        _parses.clear()
    _parses[message] = parsed
    return parsed
