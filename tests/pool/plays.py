"""What a virtual session may do in the differential test: each play is sent in one piece and answered in full."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.serialize import serialize

__all__ = ["PLAYS", "Play"]


@dataclass(frozen=True)
class Play:
    """One step of a session."""

    name: str
    sent: bytes
    syncs: int = 1
    """How many ReadyForQuery follow."""
    is_canceled: bool = False


def _joined(*messages: m.FrontendMessage) -> bytes:
    return b"".join(map(serialize, messages))


def _query(text: str) -> Play:
    return Play(text, _joined(m.Query(text.encode())))


def _parse(name: bytes, text: str) -> Play:
    sent = _joined(m.Parse(name, text.encode()), m.Describe(b"S", name), m.Sync())
    return Play(f"parse {name!r} {text}", sent)


def _run(name: bytes, *values: bytes) -> tuple[m.FrontendMessage, ...]:
    return (m.Bind(b"", name, (), values, ()), m.Describe(b"P", b""), m.Execute(b""))


def _statement(text: str, *values: bytes) -> tuple[m.FrontendMessage, ...]:
    return (m.Parse(b"", text.encode()), *_run(b"", *values))


_TEXTS = """
SET search_path = one
SET search_path = two, public
RESET search_path
SHOW search_path
SET timezone = 'Europe/Berlin'
SET timezone = 'UTC' -- a comment
RESET timezone
SHOW timezone
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
RESET ALL
SET my.own = 'a'
SELECT set_config('my.own', 'b', false)
SELECT set_config('my.own', 'c', true)
SELECT change_setting()
SELECT nullif(current_setting('my.own', true), '')
SET LOCAL timezone = 'Asia/Tokyo'
SET timezone = 'no/where'
SET ROLE reader
RESET ROLE
SET SESSION AUTHORIZATION reader
RESET SESSION AUTHORIZATION
SELECT current_user, session_user
BEGIN
BEGIN ISOLATION LEVEL SERIALIZABLE
COMMIT
COMMIT AND CHAIN
ROLLBACK
SAVEPOINT s
ROLLBACK TO s
RELEASE s
SELECT 1/0
SELECT * FROM nowhere
SELEC 1
SELECT 1; SELECT 2
SELECT 1; SELECT 1/0; SELECT 2
SET my.own = 'd'; SELECT 1/0
PREPARE p AS SELECT $1::int + 1
PREPARE p AS SELECT name FROM thing
EXECUTE p(1)
EXECUTE p
DEALLOCATE p
DEALLOCATE s1
DEALLOCATE ALL
DISCARD ALL
DISCARD TEMP
SELECT count(*) FROM pg_prepared_statements WHERE from_sql
CREATE TEMP TABLE thing (name text)
CREATE TEMP TABLE gone (n int) ON COMMIT DROP
INSERT INTO thing VALUES ('x')
SELECT name FROM thing
DROP TABLE thing
SELECT pg_try_advisory_lock(7)
SELECT pg_try_advisory_lock(8)
SELECT pg_advisory_unlock(7)
SELECT pg_advisory_unlock_all()
SELECT pg_try_advisory_xact_lock(7)
SELECT lock_eight()
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3)
DECLARE c CURSOR FOR SELECT generate_series(1, 3)
FETCH 1 FROM c
CLOSE c
CLOSE ALL
LISTEN news
UNLISTEN news
UNLISTEN *
NOTIFY news, 'hello'
SELECT pg_notify('news', 'you')
ALTER TABLE shared ADD COLUMN IF NOT EXISTS more int
ALTER TABLE shared DROP COLUMN IF EXISTS more
ALTER TABLE shared ALTER COLUMN n TYPE bigint
ALTER TABLE shared ALTER COLUMN n TYPE int
SELECT * FROM shared
INSERT INTO shared (n) VALUES (1)
DELETE FROM shared
DO $$BEGIN PERFORM set_config('timezone', 'Asia/Kolkata', false); END$$
DO $$BEGIN RAISE NOTICE 'mind'; END$$
BEGIN; SELECT nextval('numbers') > 0; SELECT currval('numbers') > 0; COMMIT
COPY (SELECT 1, 'a') TO STDOUT
LISTEN other
UNLISTEN other
SELECT pg_listening_channels()
SELECT pg_notify('other', 'more')
BEGIN; LISTEN other; SAVEPOINT s
LISTEN news; NOTIFY news, 'myself'
DO $$BEGIN EXECUTE 'LISTEN hidden'; END$$
NOTIFY hidden, 'found'
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
SET default_transaction_isolation = 'serializable'
RESET default_transaction_isolation
SHOW transaction_isolation
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ
SELECT lo_unlink(lo_from_bytea(0, 'large'))
CREATE TEMP VIEW seen AS SELECT 1 AS one
DROP VIEW seen
SET TRANSACTION READ ONLY
SET statement_timeout = '10min'
SET datestyle = 'ISO, DMY'
SET search_path = pg_temp, public
CREATE TEMP SEQUENCE passing
DROP SEQUENCE IF EXISTS passing
CREATE DOMAIN pg_temp.small AS int CHECK (VALUE < 10)
SELECT 11::pg_temp.small
EXPLAIN (COSTS OFF) EXECUTE p(1)
UPDATE pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'
"""

_CLOSE = (m.Close(b"S", b"s1"), m.Sync())
_GOOD_COPY = (m.CopyData(b"1\n2\n"), m.CopyDone())
_COPY = m.Query(b"COPY shared (n) FROM STDIN")

PLAYS = (
    *(_query(text) for text in _TEXTS.strip().splitlines()),
    _parse(b"s1", "SELECT * FROM shared"),
    _parse(b"s1", "SELECT n + $1 FROM shared"),
    _parse(b"s1", "SELECT name FROM thing"),
    _parse(b"s1", "SET my.own = 'a'"),
    _parse(b"s2", "SELECT current_setting('timezone')"),
    _parse(b"s2", "SELECT * FROM shared"),
    _parse(b"s2", "ROLLBACK"),
    _parse(b"s2", "SELECT '01/02/2020'::date, '2020-01-01'::timestamptz = '2020-01-01 00:00+01'"),
    _parse(b"", "SELECT * FROM shared"),
    _parse(b"bad", "SELECT * FROM nowhere"),
    Play("run s1", _joined(*_run(b"s1"), m.Sync())),
    Play("run s1(1)", _joined(*_run(b"s1", b"1"), m.Sync())),
    Play("run s1 undescribed", _joined(m.Bind(b"", b"s1", (), (), ()), m.Execute(b""), m.Sync())),
    Play("run s2", _joined(*_run(b"s2"), m.Sync())),
    Play("run unnamed", _joined(*_run(b""), m.Sync())),
    Play("describe s1", _joined(m.Describe(b"S", b"s1"), m.Sync())),
    Play("close s1", _joined(*_CLOSE)),
    Play("close s1, parse s1", _joined(*_CLOSE[:1], m.Parse(b"s1", b"SELECT 5"), *_run(b"s1"), m.Sync())),
    Play("empty", _joined(m.Sync())),
    Play(
        "insert and duplicate",
        _joined(
            *_statement("INSERT INTO shared (n) VALUES (9)"),
            m.Parse(b"s1", b"SELECT 1"),
            m.Parse(b"s1", b"SELECT 1"),
            m.Sync(),
        ),
    ),
    Play("insert and unknown", _joined(*_statement("INSERT INTO shared (n) VALUES (8)"), *_run(b"nobody"), m.Sync())),
    Play(
        "pipeline with an error",
        _joined(
            *_statement("SELECT 1"),
            *_statement("SELECT 1/0"),
            *_statement("SELECT 2"),
            m.Sync(),
            *_statement("SELECT $1::text", b"x"),
            m.Sync(),
        ),
        syncs=2,
    ),
    Play(
        "pipeline with settings",
        _joined(
            *_statement("SET my.own = 'b'"),
            m.Sync(),
            *_statement("SELECT nullif(current_setting('my.own', true), '')"),
            m.Sync(),
            *_statement("SET my.own = 'c'"),
            *_statement("SELECT 1/0"),
            m.Sync(),
        ),
        syncs=3,
    ),
    Play(
        "pipeline with named",
        _joined(
            m.Parse(b"s3", b"SELECT 3"),
            *_run(b"s3"),
            m.Close(b"S", b"s3"),
            *_run(b"s3"),
            m.Close(b"S", b"s2"),
            m.Sync(),
            *_run(b"s3"),
            m.Sync(),
        ),
        syncs=2,
    ),
    Play(
        "portal",
        _joined(
            m.Parse(b"", b"SELECT generate_series(1, 4)"),
            m.Bind(b"o", b"", (), (), ()),
            m.Execute(b"o", 2),
            m.Sync(),
            m.Execute(b"o", 1),
            m.Sync(),
        ),
        syncs=2,
    ),
    Play("parse and close in vain", _joined(m.Parse(b"s1", b"SELECT 1/"), m.Close(b"S", b"s1"), m.Sync())),
    Play("copy", _joined(_COPY, *_GOOD_COPY)),
    Play("copy that fails", _joined(_COPY, m.CopyData(b"1\nx\n"), m.CopyDone())),
    Play("copy given up", _joined(_COPY, m.CopyData(b"1\n"), m.CopyFail(b"never mind"))),
    Play(
        "copy, extended",
        _joined(
            m.Parse(b"cp", b"COPY shared (n) FROM STDIN"),
            m.Bind(b"", b"cp", (), (), ()),
            m.Execute(b""),
            *_GOOD_COPY,
            m.Close(b"S", b"cp"),
            m.Sync(),
        ),
    ),
    Play("sleep, cancelled", _joined(m.Query(b"SELECT pg_sleep(60)")), is_canceled=True),
)
