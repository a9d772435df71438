"""The decisions, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.pool.cache.model import Reason
from longshore.pool.catalogue import rows
from longshore.pool.catalogue.answer import Answer
from longshore.pool.catalogue.catalogue import Catalogue
from longshore.pool.catalogue.names import Names
from longshore.pool.catalogue.paths import path_of, session_path, split_identifiers
from longshore.pool.catalogue.plan import NOTHING, OPAQUE, Impact, ReadPlan
from longshore.pool.session.settings import quote_identifier, set_sql
from longshore.sql.classify import classify

if TYPE_CHECKING:
    from longshore.sql.facts import Statement

HEAD = rows.Head('"$user", public', "me", "none", "")
PATH = ("public",)


def catalogue(*given_rows: rows.Row) -> Catalogue:
    names = Names()
    for row in (HEAD, rows.Builtins("i", "lower count"), rows.Builtins("s", "to_char now"), *given_rows):
        names.add(row)
    return Catalogue(names, 0)


def table(oid: int, name: str = "", schema: str = "public", kind: str = "r") -> rows.Relation:
    return rows.Relation(oid, schema, name or f"t{oid}", kind, False, False)


def code(name: str, text: str, *, volatility: str = "s", config: list[str] | None = None) -> rows.Code:
    return rows.Code("public", name, volatility, "sql", None, config, None, False, None, text)


def single(text: str) -> Statement:
    (statement,) = classify(text).statements
    return statement


# -- where names are looked for ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings_", "expected"),
    [
        ({}, ("me", "public")),
        ({"search_path": "SET search_path = a, b"}, ("a", "b")),
        ({"search_path": "SET search_path TO 'a, b'"}, ("a, b",)),
        ({"search_path": 'SET search_path TO "$user", A, "B"'}, ("me", "a", "B")),
        ({"search_path": "SET SCHEMA 'x'"}, ("x",)),
        ({"search_path": set_sql("search_path", 'a, "B c", "d""e"')}, ("a", "B c", 'd"e')),
        ({"search_path": set_sql("search_path", "")}, ()),
        ({"search_path": set_sql("search_path", "a\\b, 'c")}, ("a\\b", "'c")),
        ({"search_path": set_sql("search_path", "pg_temp, a, a")}, ("a",)),
        ({"search_path": "SET search_path FROM CURRENT"}, None),
        ({"search_path": set_sql("search_path", '"open')}, None),
        ({"search_path": "SELECT something()"}, None),
        ({"role": "SET ROLE you"}, ("you", "public")),
        ({"role": "SET ROLE NONE"}, ("me", "public")),
        ({"role": set_sql("role", "You")}, ("You", "public")),
        ({"session_authorization": "SET SESSION AUTHORIZATION you"}, ("you", "public")),
        ({"session_authorization": "SET SESSION AUTHORIZATION you", "role": "SET ROLE she"}, ("she", "public")),
        ({"role": "SELECT something()"}, None),
    ],
)
def test_the_path_of_a_session(settings_: dict[str, str], expected: tuple[str, ...] | None) -> None:
    assert session_path(HEAD, settings_) == expected


def test_the_path_of_a_login_with_a_role() -> None:
    assert session_path(rows.Head('"$user"', "me", "boss", ""), {}) == ("boss",)
    assert session_path(rows.Head('"$user"', "me", "boss", ""), {"role": "SET ROLE NONE"}) == ("me",)


def test_the_path_of_a_body() -> None:
    assert path_of(code("f", ""), PATH) == PATH
    assert path_of(code("f", "", config=["search_path=a, b"]), PATH) == ("a", "b")
    assert path_of(code("f", "", config=['search_path=""']), PATH) == ()
    assert path_of(code("f", "", config=['search_path="$user"']), PATH) is None
    definer = code("f", "")
    definer.owner = "owner"
    assert path_of(definer, PATH) == ("public", "owner")


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)))
def test_quoted_names_are_read_as_they_were(names: list[str]) -> None:
    assert split_identifiers(", ".join(map(quote_identifier, names))) == names


@given(st.text())
def test_any_list_is_read_or_refused(text: str) -> None:
    split_identifiers(text)


# -- what a name may mean ------------------------------------------------------------------------


def test_every_relation_in_the_path_counts() -> None:
    known = catalogue(table(1, "t"), table(2, "t", "other"))
    assert known.read_plan(single("SELECT * FROM t"), ("public",)) == ReadPlan(frozenset({1}))
    assert known.read_plan(single("SELECT * FROM t"), ("public", "other")) == ReadPlan(frozenset({1, 2}))
    assert known.read_plan(single("SELECT * FROM other.t"), ("public",)) == ReadPlan(frozenset({2}))
    assert known.read_plan(single("SELECT * FROM t"), None) is Reason.UNKNOWN_NAME
    assert known.written(single("DELETE FROM t"), None) == frozenset({1, 2})


def test_one_bad_overload_is_enough() -> None:
    known = catalogue(code("f", "SELECT 1"), code("f", "SELECT 2", volatility="v"), code("lower", "SELECT now()"))
    assert known.read_plan(single("SELECT f(1)"), PATH) is Reason.VOLATILE
    assert known.read_plan(single("SELECT lower('A')"), PATH) is Reason.VOLATILE
    assert known.read_plan(single("SELECT lower('A')"), ()) == ReadPlan(frozenset())


def test_a_temporary_table_is_nobody_elses() -> None:
    known = catalogue(table(1, "t"))
    statement = single("WITH d AS (DELETE FROM t RETURNING *) INSERT INTO mine SELECT * FROM d")
    assert known.written(statement, PATH) is None
    assert known.written(statement, PATH, has_temporary=True) == frozenset({1})


def test_functions_that_call_each_other_are_not_followed_for_ever() -> None:
    known = catalogue(*(code(f"f{n}", "SELECT " + ", ".join(f"f{m}()" for m in range(8))) for n in range(8)))
    assert known.read_plan(single("SELECT f1()"), PATH) is Reason.VOLATILE
    assert not known.is_harmless((None, "f1"), PATH)


def test_what_is_nested_too_deep_is_not_followed() -> None:
    chain = [code(f"f{n}", f"SELECT f{n + 1}()") for n in range(200)]
    known = catalogue(*chain, code("f200", "SELECT 1"))
    assert known.read_plan(single("SELECT f0()"), PATH) is Reason.VOLATILE
    assert known.read_plan(single("SELECT f190()"), PATH) == ReadPlan(frozenset())


def test_a_hidden_function_that_reads_makes_everything_volatile() -> None:
    cast = code("to_mood", "SELECT * FROM t1")
    assert catalogue(table(1), cast).read_plan(single("SELECT 1"), PATH) == ReadPlan(frozenset())
    known = catalogue(table(1), cast, rows.Hidden(("public", "to_mood")))
    assert known.read_plan(single("SELECT 1"), PATH) is Reason.VOLATILE
    assert known.written(single("SELECT 1"), PATH) == frozenset()


def foreigner(name: str, volatility: str, extension: str | None) -> rows.Foreigner:
    return rows.Foreigner("public", name, volatility, extension, False)


@pytest.mark.parametrize(
    ("volatility", "extension", "expected", "writes", "is_clean"),
    [
        ("i", "pg_trgm", None, frozenset(), True),
        ("s", "pg_trgm", None, frozenset(), True),
        ("v", "pg_trgm", Reason.VOLATILE, frozenset(), True),
        ("s", "postgis", Reason.VOLATILE, frozenset(), True),
        ("i", "some_types", None, frozenset(), True),
        ("s", "some_types", Reason.VOLATILE, None, False),
        ("v", "pg_stat_statements", Reason.VOLATILE, frozenset(), True),
        ("v", "dblink", Reason.VOLATILE, None, False),
        ("i", None, None, frozenset(), False),
        ("s", None, Reason.VOLATILE, None, False),
    ],
)
def test_functions_in_other_languages(
    volatility: str, extension: str | None, expected: Reason | None, writes: frozenset[int] | None, is_clean: bool
) -> None:
    known = catalogue(foreigner("f", volatility, extension))
    plan = known.read_plan(single("SELECT f()"), PATH)
    assert plan == (expected or ReadPlan(frozenset()))
    assert known.written(single("SELECT f()"), PATH) == writes
    assert known.is_harmless((None, "f"), PATH) is is_clean


@pytest.mark.parametrize(
    ("volatility", "extension", "is_kept"),
    [("i", "some_types", True), ("s", "some_types", True), ("v", "some_types", False), ("s", None, False)],
)
def test_types_of_extensions_are_like_built_in_ones(volatility: str, extension: str | None, is_kept: bool) -> None:
    known = catalogue(foreigner("type_in", volatility, extension), rows.Hidden(("public", "type_in")))
    assert isinstance(known.read_plan(single("SELECT 1"), PATH), ReadPlan) is is_kept
    assert known.leaves_nothing(classify("SELECT lower('A')"), PATH)


def test_a_member_that_is_not_known_is_not_left_out() -> None:
    known = catalogue(table(1), rows.Inherits(2, 1), rows.ForeignKey(3, 1, "a", "c"))
    assert known.read_plan(single("SELECT * FROM t1"), PATH) is Reason.UNKNOWN_NAME
    assert known.written(single("DELETE FROM t1"), PATH) is None


# -- families and foreign keys -------------------------------------------------------------------

EDGES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=10)


@settings(max_examples=100)
@given(parts=EDGES, cascades=EDGES, start=st.integers(1, 6))
def test_what_is_written_is_closed_under_parts_and_cascades(
    parts: list[tuple[int, int]], cascades: list[tuple[int, int]], start: int
) -> None:
    """Whoever is deleted from takes its parts with it, and what refers to any of them."""
    tables = [table(oid) for oid in range(1, 7)]
    known = catalogue(
        *tables,
        *(rows.Inherits(child, parent) for child, parent in parts),
        *(rows.ForeignKey(oid, target, "a", "c") for oid, target in cascades),
    )
    written = known.written(single(f"DELETE FROM t{start}"), PATH)
    assert written is not None
    assert start in written
    for oid, target in cascades:
        assert target not in written or known.names.descendants(oid) <= written
    read = known.read_plan(single(f"SELECT * FROM t{start}"), PATH)
    assert isinstance(read, ReadPlan)
    assert read.relations <= written


# -- values --------------------------------------------------------------------------------------

IMPACTS = st.builds(
    Impact,
    st.sampled_from([None, Reason.VOLATILE, Reason.FOREIGN_TABLE]),
    st.frozensets(st.integers(1, 3)),
    st.none() | st.frozensets(st.integers(1, 3)),
    st.booleans(),
)


@given(IMPACTS, IMPACTS)
def test_a_union_is_never_better_than_its_parts(one: Impact, other: Impact) -> None:
    both = one | other
    assert (both.reason is None) == (one.reason is None and other.reason is None)
    assert both.reads == one.reads | other.reads
    assert both.is_clean == (one.is_clean and other.is_clean)
    assert (both.writes is None) == (one.writes is None or other.writes is None)
    if both.writes is not None:
        assert one.writes is not None
        assert one.writes <= both.writes
    assert one | NOTHING == one
    assert (one | OPAQUE).writes is None


@given(st.binary(max_size=200))
def test_a_row_that_cannot_be_read_is_a_failure(value: bytes) -> None:
    answer = Answer()
    length = len(value)
    answer.receive(b"D" + (length + 10).to_bytes(4, "big") + b"\0\1" + length.to_bytes(4, "big") + value)
    assert answer.failure is not None


@given(st.integers(1, 40))
def test_rows_come_in_any_pieces(size: int) -> None:
    answer = Answer()
    messages = b""
    for row in (table(1, "a"), table(2, "b"), rows.Inherits(2, 1)):
        value = msgspec.json.encode(row)
        messages += b"D" + (len(value) + 10).to_bytes(4, "big") + b"\0\1" + len(value).to_bytes(4, "big") + value
    messages += b"Z\0\0\0\5I"
    for at in range(0, len(messages), size):
        answer.receive(messages[at : at + size])
    assert answer.failure is None
    assert answer.finished == 1
    assert answer.names.descendants(1) == {1, 2}
