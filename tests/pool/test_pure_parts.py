"""The parts of the session engine that need no server."""

from __future__ import annotations

import json

import pytest

from longshore.pool.session.engine import SessionEngine
from longshore.pool.session.long_message import LongHead
from longshore.pool.session.prepared import Prepared, StatementKey, StatementNames
from longshore.pool.session.server_memory import ServerMemory
from longshore.pool.session.settings import is_sure_to_succeed, transition
from longshore.pool.session.shape import Shape
from longshore.pool.session.shared import PoolShared
from longshore.pool.session.start_settings import start_settings
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.framing import Frame, FrameChunk, FrameStart
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.sql.classify import classify


def test_options_are_read_as_postgres_reads_them() -> None:
    settings = start_settings([(b"options", rb"-c geqo=off --search-path=a\ b -cwork_mem=1MB")], {})
    assert list(settings) == ["geqo", "search_path", "work_mem"]
    assert "'a b'" in settings["search_path"]


@pytest.mark.parametrize("options", [b"-x", b"-c geqo", b"-c", b"word"])
def test_other_options_are_refused(options: bytes) -> None:
    with pytest.raises(ValueError, match=r"invalid command-line argument|requires a value"):
        start_settings([(b"options", options)], {})


def test_what_is_so_anyway_needs_no_statement() -> None:
    assert not start_settings([(b"client_encoding", b"UTF8")], {b"client_encoding": b"UTF8"})


def test_a_role_may_be_gone_and_a_time_zone_not() -> None:
    assert is_sure_to_succeed({}, {"timezone": "SET timezone = 'UTC'"})
    assert not is_sure_to_succeed({"role": "SET ROLE a"}, {})
    # Ours may take longer than the client of before had allowed for its own.
    assert not is_sure_to_succeed(
        {"statement_timeout": "SET statement_timeout = 1"}, {"timezone": "SET timezone = 'UTC'"}
    )
    assert not is_sure_to_succeed({}, {"statement_timeout": "SET statement_timeout = 1"})
    assert transition({"role": "SET ROLE a"}, {}) == ["RESET ROLE"]


def _rows(name: bytes, type_oid: int, table: int = 0, code: int = 0) -> bytes:
    return serialize(m.RowDescription((m.FieldDescription(name, type_oid, table, 1, 4, -1, code),)))


def test_a_shape_is_names_and_types() -> None:
    told = Shape(rows=_rows(b"n", 23, 5))
    assert Shape(rows=_rows(b"n", 23, 6, 1)).fits(told)
    assert not Shape(rows=_rows(b"n", 20)).fits(told)
    assert not Shape(rows=_rows(b"m", 23)).fits(told)
    assert not Shape(rows=serialize(m.NoData())).fits(told)
    assert Shape().fits(Shape())
    assert not Shape().knows(told)


def test_names_are_shared_and_bounded() -> None:
    names = StatementNames()
    key = StatementKey(b"SELECT 1\0\0\0", (0,))
    assert names.name(key) == names.name(key) != names.name(key._replace(meaning=(1,)))
    long = StatementKey(bytes(100_000), ())
    assert names.name(long) != names.name(long)
    for number in range(20_000):
        names.name(StatementKey(b"%d" % number, ()))
    assert len(names) == 10_000


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_long_bind_is_renamed_without_being_kept(step: int) -> None:
    raw = serialize(m.Bind(b"portal", b"mine", (), (b"x" * 50,), ()))
    head = LongHead(FrameStart(raw[0], raw[:5], len(raw) - 5))
    position = 5
    while not head.add(FrameChunk(raw[position : position + step], is_last=position + step >= len(raw))):
        position += step
    assert head.names() == (b"portal", b"mine")
    sent = head.renamed(b"longshore_1") + raw[position + step :]
    assert sent == serialize(m.Bind(b"portal", b"longshore_1", (), (b"x" * 50,), ()))


def test_a_long_message_without_names_is_a_violation() -> None:
    head = LongHead(FrameStart(ord("P"), b"", 5))
    with pytest.raises(ProtocolViolation):
        head.add(FrameChunk(b"abcde", is_last=True))


def _engine(session_id: int, settings: dict[str, str]) -> SessionEngine:
    return SessionEngine(session_id, PoolShared("postgres", lambda *_: None), settings, {b"TimeZone": b"UTC"})


def test_a_session_is_packed_and_unpacked_as_json() -> None:
    engine = _engine(1, {"timezone": "SET timezone = 'UTC'"})
    engine.pid = 77
    engine.belongings.settings["search_path"] = "SET search_path = one"
    engine.belongings.sql_prepared["p"] = "PREPARE p AS SELECT 1"
    prepared = Prepared(b"SELECT \xff\0\0\0", b"longshore_5", classify("SELECT 1"), "SELECT 1")
    prepared.shape = Shape(rows=_rows(b"n", 23))
    engine.extended.statements[b"mine"] = prepared
    packed = engine.packed()
    assert packed is not None
    moved = SessionEngine.unpacked(json.loads(json.dumps(packed)), 2, PoolShared("postgres", lambda *_: None))
    assert moved.packed() == packed
    assert moved.belongings.is_start_setting("TimeZone")
    assert not moved.belongings.is_start_setting("search_path")
    assert moved.extended.statements[b"mine"].name
    with pytest.raises(ValueError, match="not a packed session"):
        SessionEngine.unpacked({}, 3, PoolShared("postgres", lambda *_: None))


def test_a_session_in_the_middle_of_something_is_not_packed() -> None:
    for spoil in (
        lambda engine: engine.client_received([Frame(ord("Q"), b"Q\0\0\0\x05\0")]),
        lambda engine: engine.belongings.pin("advisory lock", ""),
        lambda engine: engine.attach(ServerMemory(1, {})),
        lambda engine: setattr(engine, "channels", frozenset({"news"})),
    ):
        engine = _engine(1, {})
        assert engine.packed() is not None
        spoil(engine)
        assert engine.packed() is None
