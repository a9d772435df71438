"""What texts do."""

from __future__ import annotations

import pytest

from longshore.sql.classify import classify
from longshore.sql.facts import UNKNOWN_TEXT, Effect


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
