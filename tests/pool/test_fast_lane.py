"""The fast lane leaves what the session engine would have left: the same bytes, the same state."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.pool.clients.connection import ClientConnection, ClientLogin
from longshore.pool.servers.connection import ServerConnection
from longshore.pool.session.engine import SessionEngine
from longshore.pool.session.server_memory import ServerMemory
from longshore.pool.session.shared import PoolShared
from longshore.pool.statistics import Statistics
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import TransactionStatus
from longshore.proto.postgres.framing import Frame, frontend_reader
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARAMETERS = {b"client_encoding": b"UTF8", b"TimeZone": b"UTC"}
READY = m.ReadyForQuery(TransactionStatus.IDLE)
ROW = serialize(m.DataRow((b"1", None)))
ROWS = serialize(m.RowDescription((m.FieldDescription(b"n", 23, 1, 1, 4, -1, 0),)))
ERROR = serialize(m.ErrorResponse(((b"S", b"ERROR"), (b"C", b"22012"), (b"M", b"division by zero"))))
STALE = serialize(m.ErrorResponse(((b"S", b"ERROR"), (b"V", b"ERROR"), (b"C", b"0A000"), (b"M", b"cached plan"))))
NOTICE = serialize(m.NoticeResponse(((b"S", b"NOTICE"), (b"C", b"00000"), (b"M", b"so"))))


NOTHING_FOUND: dict[str, object] = {
    **dict.fromkeys(("temporary", "advisory", "cursor"), False),
    **dict.fromkeys(("channels", "prepared", "settings", "hidden", "named")),
}


def _messages(*messages: Any) -> bytes:
    return b"".join(map(serialize, messages))


def _query(text: str) -> bytes:
    return serialize(m.Query(text.encode()))


def _run(name: bytes, *before: Any, is_described: bool = True) -> bytes:
    describe = (m.Describe(b"P", b""),) if is_described else ()
    return _messages(*before, m.Bind(b"", name, (), (b"7",), ()), *describe, m.Execute(b"", 0), m.Sync())


PARSE = m.Parse(b"s", b"SELECT $1::int", ())
BATCHES = (
    _query("SELECT 1"),
    _query("select n from t where a = 17 and b = 4"),
    _query("SELECT 'a1'"),
    _query("INSERT INTO t VALUES (1)"),
    _query("SELECT 1; SELECT 2"),
    _query("BEGIN"),
    _query("COMMIT"),
    _query("SET work_mem = '1MB'"),
    _query("CREATE TABLE t (n int)"),
    _query("not SQL at all"),
    _run(b"", m.Parse(b"", b"SELECT $1::int", ())),
    _run(b"", m.Parse(b"", b"SELECT $1::int", ()), is_described=False),
    _run(b"", m.Parse(b"", b"DROP TABLE t", ())),
    _run(b"s", PARSE),
    _messages(PARSE, m.Sync()),
    _messages(PARSE, m.Describe(b"S", b"s"), m.Sync()),
    _run(b"s"),
    _run(b"s", is_described=False),
    _run(b""),
    _messages(m.Close(b"S", b"s"), m.Sync()),
    _query("SELECT 1") + _query("SELECT 2"),
    _messages(m.Sync()),
)


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """See ``asyncio.Transport``."""
        self.written += data

    def close(self) -> None:
        """See ``asyncio.Transport``."""
        self.is_closed = True

    abort = close

    def set_protocol(self, protocol: object) -> None:
        """See ``asyncio.Transport``."""

    pause_reading = resume_reading = set_protocol

    def get_write_buffer_size(self) -> int:
        """See ``asyncio.Transport``."""
        return 0


class OneServer:
    """A pool with one server connection, and one client."""

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.shared = PoolShared("postgres", lambda *_: None)
        self.shared.statistics = self.statistics
        self.listener = SimpleNamespace(forget=lambda _: None)
        self.asked_at = 0.0
        self.on_rest = None
        self.to_server, self.to_client = Transport(), Transport()
        self.memory = ServerMemory(1, dict(PARAMETERS))
        self.server = ServerConnection(self.to_server, self.memory, lambda _: None)  # type: ignore[arg-type]
        engine = SessionEngine(7, self.shared, {}, dict(PARAMETERS))
        login = ClientLogin(session_id=7, user="postgres", database="postgres", key=(1, b"key!"))
        self.client = ClientConnection(self.to_client, login, self, engine, lambda _: None)  # type: ignore[arg-type]
        self.engine = engine
        self.is_free = True
        self.canceled: list[ServerConnection] = []
        self._frames = frontend_reader()
        self._seen = 0

    def acquire(self, waiter: ClientConnection, tenant: str) -> None:
        """See ``Pool``."""
        assert self.is_free
        self.is_free = False
        waiter.server_assigned(self.server)

    def release(self, server: ServerConnection) -> None:
        """See ``Pool``."""
        assert not self.is_free
        self.is_free = True
        server.holder = None

    def discard(self, server: ServerConnection) -> None:
        """See ``Pool``."""
        self.release(server)

    def forget(self, session_id: int) -> None:
        """See ``Pool``."""

    def cancel(self, server: ServerConnection) -> None:
        """See ``Pool``."""
        self.canceled.append(server)

    def asked(self) -> list[Frame]:
        """Return what the server was asked since the last time."""
        data = bytes(self.to_server.written[self._seen :])
        self._seen = len(self.to_server.written)
        return [event for event in self._frames.receive_data(data) if isinstance(event, Frame)]

    def state(self, *, is_shortened: bool = False) -> dict[str, object]:
        """Return what a session and a connection remember.

        Args:
            is_shortened: a Parse may have been left out; see ``Database.ran`` for what remains to be compared.
        """
        engine, memory, statistics = self.engine, self.memory, self.statistics
        unnamed = engine.extended.unnamed
        return {
            "statements": {
                name: (each.name, each.body, each.shape, each.is_void)
                for name, each in engine.extended.statements.items()
            },
            "unnamed": None if unnamed is None else (unnamed.body, unnamed.text, unnamed.shape),
            "is unnamed there": memory.unnamed is not None and memory.unnamed is unnamed,
            "unnamed there": memory.unnamed_shape,
            "prepared": list(memory.prepared.items()),
            "settings": (engine.belongings.settings, memory.settings),
            "pins": engine.belongings.pins,
            "sequence": (memory.sequence_owner, engine.sequence_server),
            "relay": (memory.relay.is_idle, memory.relay.status, memory.relay.expects),
            "inbox": list(engine.inbox),
            "epoch": self.shared.epoch,
            "is free": self.is_free,
            "to server": None if is_shortened else bytes(self.to_server.written),
            "to client": bytes(self.to_client.written),
            "closed": self.to_client.is_closed,
            "counted": (statistics.transactions, statistics.queries, statistics.client_bytes),
            "heard": None if is_shortened else statistics.server_bytes,
        }


class Database:
    """Answers as a server would; knows nothing of SQL but where a transaction begins."""

    def __init__(self, twist: str) -> None:
        self._twist = twist
        self._status = b"I"
        self._is_skipping = False
        self._names: list[str] = []
        self._unnamed: bytes | None = None
        self._is_parsed = False  # since the last Sync
        self.ran: list[bytes] = []
        """Queries, and each Bind, that of the unnamed statement with its text."""
        self.parses = 0
        """Of the unnamed statement."""

    def answer(self, frames: Sequence[Frame]) -> bytes:
        """Return replies."""
        return b"".join(map(self._answer, frames))

    def _answer(self, frame: Frame) -> bytes:
        kind = chr(frame.type)
        ready = b"Z\0\0\0\x05" + self._status
        if kind == "S":
            self._is_skipping = self._is_parsed = False
            return ready
        if self._is_skipping:
            return b""
        if not self._note(frame):
            self._is_skipping = True
            return STALE
        if kind == "P" and frame.raw[5]:
            self._names.append(frame.raw[5 : frame.raw.index(0, 5)].decode())
        if kind == "Q":
            return self._answer_query(frame)
        if kind == "E" and self._twist == "error":
            self._is_skipping = True
            return ERROR
        rows = (NOTICE if self._twist == "notice" else b"") + ROW * 3
        parameters = serialize(m.ParameterDescription((23,))) if frame.raw[5:6] == b"S" else b""
        answers = {
            "P": serialize(m.ParseComplete()),
            "B": serialize(m.BindComplete()),
            "C": serialize(m.CloseComplete()),
            "D": parameters + ROWS,
            "E": rows + serialize(m.CommandComplete(b"SELECT 3")),
            "H": b"",
        }
        return answers[kind]

    def _note(self, frame: Frame) -> bool:
        """Note the unnamed statement; False for a Bind of one that is not there, or not as it was."""
        kind = chr(frame.type)
        if kind == "P" and not frame.raw[5]:
            self._unnamed, self._is_parsed = frame.raw, True
            self.parses += 1
        elif kind == "Q" or (kind == "C" and frame.raw[5:] == b"S\0"):
            self._unnamed = None
        if kind == "B" and not frame.raw[6]:
            if self._unnamed is None or (self._twist == "stale" and not self._is_parsed):
                return False
            self.ran.append(self._unnamed)
        if kind in "BQ":
            self.ran.append(frame.raw)
        return True

    def _answer_query(self, frame: Frame) -> bytes:
        text = frame.raw[5:-1]
        if text in (b"BEGIN", b"COMMIT"):
            self._status = b"T" if text == b"BEGIN" else b"I"
            return serialize(m.CommandComplete(text)) + b"Z\0\0\0\x05" + self._status
        if b"json_build_object" in text:  # the pool asks what a session has left behind: nothing
            found = {**NOTHING_FOUND, "protocol_prepared": self._names}
            row = serialize(m.DataRow((json.dumps(found).encode(),)))
            return ROWS + row + serialize(m.CommandComplete(b"SELECT 1")) + b"Z\0\0\0\x05I"
        if self._twist == "error":
            return ERROR + b"Z\0\0\0\x05" + (b"E" if self._status == b"T" else b"I")
        notice = NOTICE if self._twist == "notice" else b""
        result = notice + ROWS + ROW * 2 + serialize(m.CommandComplete(b"SELECT 2"))
        return result * (2 if b";" in text else 1) + b"Z\0\0\0\x05" + self._status


def _play(rig: OneServer, database: Database, batch: bytes, pieces: Sequence[int], *, cut: int) -> None:
    """Have the client say something, and the server answer, in pieces."""
    _say(rig, batch, cut)
    for _ in range(10):
        asked = rig.asked()
        if not asked:
            return
        reply = database.answer(asked)
        ends = sorted({min(end, len(reply)) for end in pieces} | {len(reply)})
        start = 0
        for end in ends:
            _hear(rig, reply[start:end])
            start = end


def _say(rig: OneServer, batch: bytes, cut: int) -> None:
    if cut:
        rig.client.data_received(batch[:cut])
    rig.client.data_received(batch[cut:])


def _hear(rig: OneServer, reply: bytes) -> None:
    if reply:
        rig.server.data_received(reply)


_steps = st.lists(
    st.tuples(
        st.sampled_from(BATCHES),
        st.sampled_from(["", "", "", "error", "notice", "stale"]),
        st.one_of(st.just([]), st.lists(st.integers(1, 120), max_size=3)),
    ),
    min_size=1,
    max_size=12,
)


@given(_steps)
def test_the_lane_leaves_what_the_engine_leaves(steps: list[tuple[bytes, str, list[int]]]) -> None:
    fast, slow = OneServer(), OneServer()
    databases = Database(""), Database("")
    for batch, twist, pieces in steps:
        for rig, database in zip((fast, slow), databases, strict=True):
            database._twist = twist
            # What comes in two pieces never goes by the lane.
            _play(rig, database, batch, pieces, cut=0 if rig is fast else 1)
        assert fast.state(is_shortened=True) == slow.state(is_shortened=True)
        assert databases[0].ran == databases[1].ran


UNNAMED = _run(b"", m.Parse(b"", b"SELECT $1::int", ()))


def _parses(rig: OneServer, database: Database, times: int = 1) -> int:
    """Run the unnamed statement; return how often it was parsed."""
    before = database.parses
    for _ in range(times):
        _play(rig, database, UNNAMED, [], cut=0)
    return database.parses - before


def test_an_unnamed_statement_runs_five_times_for_each_parse() -> None:
    rig, database = OneServer(), Database("")
    assert [_parses(rig, database) for _ in range(11)] == [1, 0, 0, 0, 0] * 2 + [1]
    assert rig.is_free
    assert rig.to_client.written.count(serialize(m.ParseComplete())) == 11


def _another_catalogue(rig: OneServer) -> None:
    rig.shared.epoch += 1


def _changing_catalogue(rig: OneServer) -> None:
    rig.shared.changing += 1


def _another_path(rig: OneServer) -> None:
    rig.memory.settings = rig.engine.belongings.settings = {"search_path": "SET search_path = other"}


@pytest.mark.parametrize("change", [_another_catalogue, _changing_catalogue, _another_path])
def test_a_statement_is_parsed_again_when_it_may_mean_something_else(change: Callable[[OneServer], None]) -> None:
    rig, database = OneServer(), Database("")
    assert _parses(rig, database, 2) == 1
    change(rig)
    assert _parses(rig, database) == 1


@pytest.mark.parametrize("between", [_query("SELECT 1"), _query("CREATE TABLE t (n int)"), BATCHES[11]])
def test_a_statement_is_parsed_again_when_the_server_may_have_another_one(between: bytes) -> None:
    rig, database = OneServer(), Database("")
    assert _parses(rig, database, 2) == 1
    other = _run(b"", m.Parse(b"", b"SELECT $1::text", ()))
    _play(rig, database, other if between == BATCHES[11] else between, [], cut=0)
    assert _parses(rig, database) == 1


@pytest.mark.parametrize("pieces", [[], [1], [20], [1, 2, 3]])
def test_what_fails_for_want_of_its_parse_is_sent_whole(pieces: list[int]) -> None:
    """Somebody who does not come through the pool has changed the table: the client must not hear of it."""
    rig, database = OneServer(), Database("")
    assert _parses(rig, database) == 1
    told = bytes(rig.to_client.written)
    database._twist = "stale"
    _play(rig, database, UNNAMED, pieces, cut=0)
    assert database.parses == 2
    assert rig.is_free
    assert rig.to_client.written == told * 2
    assert _parses(rig, Database("")) == 1, "the engine had it parsed, and not the lane"


def test_the_end_of_the_server_is_told_where_a_parse_was_left_out() -> None:
    rig, database = OneServer(), Database("")
    assert _parses(rig, database) == 1
    told = len(rig.to_client.written)
    rig.client.data_received(UNNAMED)
    end = serialize(m.ErrorResponse(((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", b"57P01"), (b"M", b"end"))))
    rig.server.data_received(end)
    assert rig.to_client.written[told:] == end


def test_a_statement_that_a_question_of_the_pool_took_away_is_parsed_again() -> None:
    rig, database = OneServer(), Database("")
    _play(rig, database, _run(b"", m.Parse(b"", b"SELECT f($1)", ())), [], cut=0)
    assert rig.shared.statistics.probes == 1
    _play(rig, database, _run(b""), [], cut=0)
    assert STALE not in rig.to_client.written


@given(st.sampled_from(BATCHES), st.sampled_from(BATCHES), st.integers(0, 60))
def test_a_second_batch_comes_before_the_answer(first: bytes, second: bytes, part: int) -> None:
    rigs = OneServer(), OneServer()
    for rig in rigs:
        database, cut = Database(""), int(rig is rigs[1])
        _play(rig, database, _messages(PARSE, m.Sync()), [], cut=cut)
        _say(rig, first, cut)
        reply = database.answer(rig.asked())
        _hear(rig, reply[:part])
        rig.client.data_received(second)
        _hear(rig, reply[part:])
        while reply := database.answer(rig.asked()):
            _hear(rig, reply)
    assert rigs[0].state() == rigs[1].state()


def _is_in_lane(rig: OneServer) -> bool:
    return rig.server.lane is not None


@pytest.mark.parametrize(
    ("text", "is_fast"),
    [
        ("SELECT 1", True),
        ("SELECT 99", True),
        ("SELECT n FROM t WHERE a = 5", True),
        ("SELECT n FROM t5 WHERE a = 5", True),
        ("UPDATE t SET n = 3 WHERE a = 1", True),
        ("SELECT 'it'", True),
        ("SELECT pg_advisory_lock(5)", False),
        ("SELECT set_config('a.b', '1', false)", False),
        ("BEGIN", False),
        ("SET a = 1", False),
        ("DROP TABLE t5", False),
        ("SELECT 1; SELECT 2", False),
    ],
)
def test_what_goes_by_the_lane(text: str, is_fast: bool) -> None:
    for _ in range(2):
        rig = OneServer()
        rig.client.data_received(_query(text))
        assert _is_in_lane(rig) is is_fast


def test_texts_are_told_apart_by_the_digits_of_their_names() -> None:
    """A digit in a name or a string is no number, although the keys of both texts look alike."""
    for plain, other in (("SELECT pi()*1", "SELECT 1;BEGIN"), ("SELECT 'f0'", "SELECT 'f1'")):
        rig = OneServer()
        rig.client.data_received(_query(plain))
        assert _is_in_lane(rig)
        rig = OneServer()
        rig.client.data_received(_query(other))
        assert _is_in_lane(rig) is (other == "SELECT 'f1'")


def test_a_length_that_lies_is_not_overlooked() -> None:
    """The last byte of the length word may look like a digit: 0x30 is one more than 0x2f, and is "0"."""
    honest = _query("SELECT 1 + " + "1" * 32)
    assert honest[4] in range(0x30, 0x3A)
    rig = OneServer()
    rig.client.data_received(honest)
    assert _is_in_lane(rig)
    rig = OneServer()
    rig.client.data_received(honest[:4] + bytes([honest[4] + 1]) + honest[5:])
    assert rig.is_free, "half a message must wait for its other half"


@given(
    st.one_of(st.binary(min_size=1, max_size=40), st.sampled_from(BATCHES)), st.integers(0, 40), st.binary(max_size=3)
)
def test_bytes_that_are_no_batch_are_the_engines(data: bytes, at: int, junk: bytes) -> None:
    """Cut, changed and made up: what begins in the lane is a batch, and all else ends as it would without it."""
    fast, slow = OneServer(), OneServer()
    mixed = data[:at] + junk + data[at + 1 :]
    for kind in (b"", b"Q", b"P", b"B"):
        for rig in (fast, slow):
            if rig.to_client.is_closed or not mixed:
                return
            _say(rig, kind + mixed, int(rig is slow))
        assert fast.to_server.written == slow.to_server.written
        assert fast.to_client.written == slow.to_client.written
        if not fast.is_free or not fast.client._reader.is_between_messages:
            return


@given(st.binary(max_size=60), st.sampled_from([_query("SELECT 1"), BATCHES[10]]), st.booleans())
def test_bytes_that_are_no_reply_are_the_engines(junk: bytes, batch: bytes, is_ready: bool) -> None:
    fast, slow = OneServer(), OneServer()
    for rig in (fast, slow):
        _say(rig, batch, int(rig is slow))
        _hear(rig, junk + (b"Z\0\0\0\x05I" if is_ready else b""))
        rig.client.look()
    assert fast.state() == slow.state()


def test_everybody_who_looks_finds_the_engine_at_work() -> None:
    rig = OneServer()
    rig.client.data_received(_query("SELECT 1"))
    assert _is_in_lane(rig)
    assert not rig.client.is_at_rest
    assert not _is_in_lane(rig)
    assert rig.memory.relay.pending == 1
    rig.server.data_received(Database("").answer(rig.asked()))
    assert rig.is_free
    assert rig.client.is_at_rest


async def test_what_a_client_left_in_the_lane_is_cleaned_up() -> None:
    rig = OneServer()
    rig.client.data_received(_query("SELECT 1"))
    assert _is_in_lane(rig)
    rig.client.connection_lost(None)
    assert rig.canceled == [rig.server]
    assert not rig.is_free
    rig.server.data_received(Database("").answer(rig.asked()))
    assert rig.is_free


def test_a_server_that_goes_is_reported() -> None:
    rig = OneServer()
    rig.client.data_received(_query("SELECT 1"))
    assert _is_in_lane(rig)
    rig.server.connection_lost(None)
    assert b"FATAL" in rig.to_client.written
    assert rig.to_client.is_closed
