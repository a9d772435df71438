"""Into which functions one can look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.catalogue.bodies import texts_of
from longshore.pool.catalogue.rows import Code
from tests.pool.catalogue.picture import Picture, read_catalogue
from tests.pool.catalogue.schema import make_database
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.server_process import Server

DATABASE = "catalogue_bodies"
SCHEMA = """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE TABLE app.people (id int, mood app.mood);
CREATE TABLE seen (id int);
"""
# Arguments, result, declarations, body: what PL/pgSQL knows, as far as its header matters.
HEADERS = [
    ("a app.mood, b app.people", "int", "RETURN 1"),
    ("a int, OUT b int, OUT c app.people", "", "b := 1; c.id := 2"),
    ("INOUT a int", "", "a := a + 1"),
    ("a int", "SETOF app.people", "RETURN QUERY SELECT * FROM app.people"),
    ("", "SETOF int", "RETURN NEXT 1; RETURN NEXT 2"),
    ("", "TABLE (x int, y app.mood)", "x := 1; RETURN NEXT"),
    ("", "void", "RETURN"),
    ("VARIADIC a int[]", "int", "a[1] := 2; RETURN a[1]"),
    ("int, text", "text", "RETURN $2 || $1"),
    ('"Odd Name" int', "app.people", 'DECLARE r app.people%ROWTYPE; BEGIN r.id := "Odd Name"; RETURN r; END'),
    ("a anyelement", "anyelement", "RETURN a"),
    ("b app.people", "int", "b.id := 3; RETURN b.id"),
]


@pytest.mark.needs("postgres")
def test_headers(postgres_server: Server) -> None:
    functions = [
        f"CREATE FUNCTION f{number}({args}) {f'RETURNS {result}' if result else ''} LANGUAGE plpgsql STABLE AS"
        f" $$ BEGIN PERFORM count(*) FROM seen; {body}; END $$;"
        for number, (args, result, body) in enumerate(HEADERS)
    ]
    make_database(postgres_server, DATABASE, SCHEMA + "\n".join(functions))

    async def read() -> Picture:
        async with session(postgres_server.port, DATABASE) as client:
            return await read_catalogue(client)

    picture = asyncio.run(read())
    for number, header in enumerate(HEADERS):
        found = picture.reads(f"SELECT f{number}()")
        assert isinstance(found, set), (header, found)
        assert "seen" in found


def code(text: str, language: str = "plpgsql", header: str | None = "(a text) RETURNS text") -> Code:
    return Code("public", "f", "v", language, None, None, None, False, header, text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("BEGIN RETURN f(1); END", {"SELECT f(1)"}),
        ("BEGIN a := f(1); END", {"SELECT a", "SELECT  f(1)"}),
        ("DECLARE x int[]; BEGIN x[i('=')] := f(1); END", {"SELECT x[i('=')]", "SELECT  f(1)"}),
        ("DECLARE x int := f(1); BEGIN NULL; END", {"SELECT f(1)"}),
        ("BEGIN PERFORM f(1); END", {"SELECT f(1)"}),
        ("BEGIN IF f(1) THEN DELETE FROM t; ELSIF g(2) THEN NULL; END IF; END", {"DELETE FROM t", "SELECT f(1)"}),
        ("BEGIN NULL; EXCEPTION WHEN others THEN RAISE NOTICE '%', f(1); END", {"SELECT f(1)"}),
        ("DECLARE c CURSOR FOR SELECT f(1); BEGIN OPEN c; END", {"SELECT f(1)"}),
        ("BEGIN ASSERT f(1), g(2); END", {"SELECT f(1)", "SELECT g(2)"}),
        ("DECLARE r record; BEGIN FOR r IN SELECT f(1) LOOP EXIT WHEN g(2); END LOOP; END", {"SELECT f(1)"}),
        ("BEGIN CASE f(1) WHEN 2 THEN NULL; END CASE; END", {"SELECT f(1)"}),
    ],
)
def test_everything_that_runs_is_seen(body: str, expected: set[str]) -> None:
    texts = texts_of(code(body))
    assert texts is not None
    assert expected <= set(texts)


@pytest.mark.parametrize(
    "body",
    [
        "BEGIN EXECUTE 'SELECT 1'; END",
        "DECLARE r record; BEGIN FOR r IN EXECUTE 'SELECT 1' LOOP NULL; END LOOP; END",
        "DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE 'SELECT 1'; END",
        "BEGIN CALL p(); END",
        "BEGIN COMMIT; END",
        "BEGIN ROLLBACK; END",
        "BEGIN DO $x$ BEGIN END $x$; END",
        "BEGIN this is no code; END",
        "BEGIN",
        "",
    ],
)
def test_what_is_made_at_run_time_is_not(body: str) -> None:
    assert texts_of(code(body)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("SELECT 1; SELECT 2", "SELECT 1; SELECT 2"),
        ("BEGIN ATOMIC\n SELECT 1;\nEND", "\n SELECT 1;\n"),
        ("RETURN (a + 1)", "SELECT (a + 1)"),
    ],
)
def test_bodies_in_sql(body: str, expected: str) -> None:
    assert texts_of(code(body, "sql")) == [expected]


def test_a_body_may_hold_any_quotes() -> None:
    assert texts_of(code("BEGIN RETURN '$body$' || '$body_$'; END")) == ["SELECT '$body$' || '$body_$'"]


def test_one_that_is_too_long_is_not_looked_into() -> None:
    assert texts_of(Code("public", "f", "s", "sql", None, None, None, False, None, None)) is None
