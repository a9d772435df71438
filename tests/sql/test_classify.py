"""What texts do."""

from __future__ import annotations

import pytest

from longshore.sql.classify import classify
from longshore.sql.facts import UNKNOWN_TEXT, Effect, Name, Operation

T: Name = (None, "t")


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("SELECT 1", Effect.NONE),
        ("SELECT lower('A'), now(), count(*) FROM t", Effect.NONE),
        ("SELECT my_function()", Effect.ANYTHING),
        ("SELECT other.lower('A')", Effect.ANYTHING),
        ("INSERT INTO t SELECT f(x) FROM u", Effect.ANYTHING),
        ("SELECT setseed(0.5)", Effect.LIBRARY),
        ("SELECT pg_notify('a', 'b')", Effect.NOTIFIES),
        ("NOTIFY a", Effect.NOTIFIES),
        ("DROP DATABASE d", Effect.DATABASE),
        ("CREATE DATABASE d TEMPLATE e", Effect.DATABASE),
        ("ALTER DATABASE d RENAME TO e", Effect.DATABASE),
        ("ALTER TABLE d RENAME TO e", Effect.NONE),
        ("SELECT currval('s')", Effect.SEQUENCE_IS_READ),
        ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", Effect.ANYTHING),
        ("CREATE TYPE pg_temp_3.t AS ENUM ('a')", Effect.ANYTHING),
        ("CREATE DOMAIN pg_temp.d AS int", Effect.ANYTHING),
        ("CREATE SEQUENCE pg_temp.s", Effect.TEMPORARY),
        ("CREATE TEMP SEQUENCE s", Effect.TEMPORARY),
        ("UPDATE pg_settings SET setting = 'UTC' WHERE name = 'TimeZone'", Effect.ANYTHING),
        ("EXECUTE p", Effect.NONE),
        ("EXPLAIN ANALYZE EXECUTE p", Effect.ANYTHING),
        ("CREATE TABLE t AS EXECUTE p", Effect.ANYTHING),
    ],
)
def test_effects(text: str, effects: Effect) -> None:
    assert classify(text).effects == effects


def test_who_is_wanted_alone() -> None:
    for text in ("DROP DATABASE d", "CREATE DATABASE x TEMPLATE d", "ALTER DATABASE d RENAME TO y"):
        single = classify(text).single
        assert single is not None
        assert single.name == "d"


def test_what_changes_the_catalogue() -> None:
    assert classify("ALTER TABLE t ADD c int").changes_catalogue
    assert not classify("CREATE TEMP TABLE t (c int)").changes_catalogue
    assert not classify("INSERT INTO t VALUES (1)").changes_catalogue


def test_what_looks_at_the_list_of_statements_is_not_plain() -> None:
    assert classify("SELECT * FROM pg_prepared_statements").reads_prepared
    assert not classify("SELECT * FROM pg_prepared_statements").is_plain
    assert classify("SELECT * FROM pg_class").is_plain


@pytest.mark.parametrize("text", ["SELEC 1", "SELECT (", "\0"])
def test_what_cannot_be_read_may_do_anything(text: str) -> None:
    assert classify(text) is UNKNOWN_TEXT


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", {(None, "t")}),
        ("WITH RECURSIVE t AS (SELECT 1 UNION SELECT * FROM t) SELECT * FROM t", set()),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM b", {(None, "b")}),
        ("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", set()),
        ("WITH a AS (WITH b AS (SELECT 1) SELECT * FROM b) SELECT * FROM a, b", {(None, "b")}),
        ("WITH a AS (SELECT 1) SELECT * FROM s.a", {("s", "a")}),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a", {(None, "a")}),
    ],
)
def test_a_name_of_with_hides_a_relation_only_where_it_is_seen(text: str, reads: set[Name]) -> None:
    (statement,) = classify(text).statements
    assert statement.reads == reads


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("SELECT * FROM t", set()),
        ("INSERT INTO s.t VALUES (1)", {(Operation.INSERT, ("s", "t"))}),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", {(Operation.INSERT, T), (Operation.UPDATE, T)}),
        ("WITH d AS (DELETE FROM t) UPDATE u SET a = 1", {(Operation.DELETE, T), (Operation.UPDATE, (None, "u"))}),
        ("WITH t AS (SELECT 1) DELETE FROM t", {(Operation.DELETE, T)}),
        ("TRUNCATE t", {(Operation.TRUNCATE, T)}),
        ("TRUNCATE t CASCADE", {(Operation.TRUNCATE_CASCADE, T)}),
        ("COPY t FROM STDIN", {(Operation.INSERT, T)}),
        ("COPY t TO STDOUT", set()),
        ("REFRESH MATERIALIZED VIEW t", {(Operation.REFRESH, T)}),
        (
            "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
            {(Operation.INSERT, T), (Operation.UPDATE, T), (Operation.DELETE, T)},
        ),
    ],
)
def test_what_is_done_to_rows(text: str, operations: set[tuple[Operation, Name]]) -> None:
    (statement,) = classify(text).statements
    assert statement.operations == operations
    assert {name for _, name in operations} == statement.writes


def test_what_an_expression_names() -> None:
    (statement,) = classify(
        "SELECT a.b, (c).d, e @@ f, g OPERATOR(s.===) h, i::s.k, j::int, m BETWEEN 1 AND 2"
    ).statements
    assert statement.attributes == {"b", "d"}
    assert statement.operators == {(None, "@@"), ("s", "==="), (None, ">="), (None, "<=")}
    assert statement.types == {("s", "k"), ("pg_catalog", "int4")}


def test_truncate_and_refresh_change_rows_and_no_catalogue() -> None:
    assert not classify("TRUNCATE t").changes_catalogue
    assert not classify("REFRESH MATERIALIZED VIEW t").changes_catalogue


def test_what_only_functions_of_users_do_is_told_from_the_rest() -> None:
    for text, is_opaque in {
        "SELECT f()": False,
        "CALL f()": False,
        "SELECT set_config($1, 'x', false)": True,
        "SELECT query_to_xml('SELECT 1', true, true, '')": True,
        "DO $$ BEGIN END $$": True,
        "SELEC": False,  # its kind says so
    }.items():
        (statement,) = classify(text).statements
        assert statement.is_opaque is is_opaque, text


def test_the_values_of_a_set() -> None:
    (statement,) = classify("SET search_path = a, 'b, c', \"D\"").statements
    assert statement.values == ("a", "b, c", "D")


@pytest.mark.parametrize("literal", ["now", " Today ", "tomorrow 10:00", "yesterday10:00", "(now,infinity)", "{now}"])
def test_constants_that_tell_the_time(literal: str) -> None:
    (statement,) = classify(f"SELECT '{literal}'").statements
    assert statement.has_clock_literal


@pytest.mark.parametrize("literal", ["knowledge", "nowhere", "2020-01-01", "todays"])
def test_constants_that_do_not(literal: str) -> None:
    (statement,) = classify(f"SELECT '{literal}'").statements
    assert not statement.has_clock_literal
