"""What statements read and write, by the catalogue of a real database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.cache.model import Reason
from longshore.sql.classify import classify
from tests.pool.catalogue.picture import read_catalogue
from tests.pool.catalogue.schema import make_database
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.pool.catalogue.picture import Picture
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

DATABASE = "catalogue_plans"
EVENTS = {"events", "events_1", "events_2", "events_2_1"}


@pytest.fixture(scope="module")
def picture(postgres_server: Server) -> Picture:
    make_database(postgres_server, DATABASE)

    async def read() -> Picture:
        async with session(postgres_server.port, DATABASE) as client:
            return await read_catalogue(client)

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", set()),
        ("SELECT * FROM users WHERE id = $1", {"users"}),
        ("TABLE plain", {"plain"}),
        ("VALUES (1)", set()),
        ("SELECT * FROM public.users u, LATERAL (SELECT * FROM orders WHERE user_id = u.id) o", {"users", "orders"}),
        ("WITH plain AS (SELECT * FROM plain) SELECT * FROM plain", {"plain"}),
        ("WITH RECURSIVE plain AS (SELECT 1 UNION SELECT * FROM plain) SELECT * FROM plain", set()),
        ("WITH a AS (SELECT * FROM users), b AS (SELECT * FROM a) SELECT * FROM b", {"users"}),
        ("SELECT * FROM events", EVENTS),
        ("SELECT * FROM events_2", {"events_2", "events_2_1"}),
        ("SELECT * FROM parent", {"parent", "child"}),
        ("SELECT * FROM outer_names", {"users", "orders"}),
        ("SELECT * FROM recent", Reason.VOLATILE),
        ("SELECT * FROM sums", {"sums"}),
        ("SELECT * FROM secret", Reason.ROW_SECURITY),
        ("SELECT * FROM remote", Reason.FOREIGN_TABLE),
        ("SELECT last_value FROM counted", Reason.VOLATILE),
        ("SELECT * FROM nowhere", Reason.UNKNOWN_NAME),
        ("SELECT * FROM pg_class", Reason.SYSTEM_CATALOG),
        ("SELECT * FROM pg_catalog.pg_class", Reason.SYSTEM_CATALOG),
        ("SELECT * FROM information_schema.tables", Reason.SYSTEM_CATALOG),
        ("SELECT * FROM tables", Reason.UNKNOWN_NAME),
        ("SELECT 'users'::regclass", Reason.SYSTEM_CATALOG),
        ("SELECT * FROM users FOR UPDATE", Reason.LOCKS_ROWS),
        ("SELECT * FROM users TABLESAMPLE system (10) REPEATABLE (1)", Reason.VOLATILE),
        ("SELECT * INTO made FROM users", Reason.NOT_A_READ),
        ("INSERT INTO plain VALUES (1) RETURNING id", Reason.NOT_A_READ),
        ("WITH d AS (DELETE FROM plain RETURNING *) SELECT * FROM d", Reason.NOT_A_READ),
        ("EXPLAIN SELECT 1", Reason.NOT_A_READ),
        ("COPY users TO STDOUT", Reason.NOT_A_READ),
        ("COPY users TO '/tmp/x'", Reason.NOT_A_READ),
        ("SHOW timezone", Reason.NOT_A_READ),
        # functions of the server
        ("SELECT now()", Reason.VOLATILE),
        ("SELECT CURRENT_DATE", Reason.VOLATILE),
        ("SELECT LOCALTIMESTAMP(3)", Reason.VOLATILE),
        ("SELECT 'today'::date", Reason.VOLATILE),
        ("SELECT random()", Reason.VOLATILE),
        ("SELECT nextval('counted')", Reason.VOLATILE),
        ("SELECT set_config('a.b', 'c', false)", Reason.VOLATILE),
        ("SELECT pg_advisory_lock(1)", Reason.VOLATILE),
        ("SELECT query_to_xml('SELECT 1', true, true, '')", Reason.VOLATILE),
        ("SELECT has_table_privilege('users', 'select')", Reason.VOLATILE),
        ("SELECT txid_current()", Reason.VOLATILE),
        ("SELECT '10:00'::time with time zone", Reason.VOLATILE),
        ("SELECT CURRENT_USER, lower(name), count(*) FROM users GROUP BY 2", {"users"}),
        ("SELECT to_char(at, 'YYYY'), date_trunc('day', at)::date, extract(year FROM at) FROM orders", {"orders"}),
        ("SELECT json_agg(row_to_json(u)) FROM users u", {"users"}),
        (
            "SELECT at AT TIME ZONE 'utc' FROM orders WHERE at > '2020-01-01'::timestamptz - interval '1 day'",
            {"orders"},
        ),
        ("SELECT to_tsvector('english'::regconfig, name) @@ plainto_tsquery($1) FROM users", {"users"}),
        ('SELECT * FROM users ORDER BY name COLLATE "C" LIMIT 3 OFFSET $1', {"users"}),
        ("SELECT sum(total) FILTER (WHERE total > 1) OVER (PARTITION BY user_id) FROM orders", {"orders"}),
        # functions of users
        ("SELECT pure_add(1, 2)", set()),
        ("SELECT order_total(id) FROM users", {"users", "orders"}),
        ("SELECT atomic_total()", {"orders"}),
        ("SELECT atomic_return(1)", set()),
        ("SELECT the_time()", Reason.VOLATILE),
        ("SELECT unmarked()", Reason.VOLATILE),
        ("SELECT pl_count()", {"users", "orders"}),
        ("SELECT pl_dynamic()", Reason.VOLATILE),
        ("SELECT sneaky()", Reason.VOLATILE),
        ("SELECT cyclic(3)", Reason.VOLATILE),
        ("SELECT with_default()", Reason.VOLATILE),
        ("SELECT p.full_name FROM plain p", {"plain", "users"}),
        ("SELECT full_name FROM plain", {"plain"}),
        ("SELECT in_other()", {"twin"}),
        ("SELECT nothing_like_that()", Reason.UNKNOWN_NAME),
        ("SELECT other.lower('x')", Reason.UNKNOWN_NAME),
        ("SELECT name === 3 FROM users", Reason.VOLATILE),
        ("SELECT name % 'x' FROM users", {"users"}),
        ("SELECT similarity(name, 'x') FROM users", {"users"}),
        ("SELECT set_limit(0.3)", Reason.VOLATILE),
        ("SELECT * FROM crosstab('SELECT 1, 2, 3') AS c(a int, b int)", Reason.VOLATILE),
        ("SELECT summed(total) FROM orders", {"orders"}),
    ],
)
def test_reads(picture: Picture, text: str, expected: set[str] | Reason) -> None:
    assert picture.reads(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM users", set()),
        ("SELECT nextval('counted')", set()),
        ("BEGIN", set()),
        ("SET timezone = 'utc'", set()),
        ("PREPARE p AS DELETE FROM plain", set()),
        ("EXECUTE p", None),
        ("VACUUM users", set()),
        ("LOCK users", set()),
        ("INSERT INTO plain VALUES (1)", {"plain"}),
        ("INSERT INTO users VALUES (1)", {"users"}),
        ("INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'", {"users", "notes"}),
        ("UPDATE users SET id = 2", {"users", "notes"}),
        ("DELETE FROM users", {"users", "orders", "items"}),
        ("DELETE FROM orders USING plain", {"orders", "items"}),
        ("TRUNCATE plain", {"plain"}),
        ("TRUNCATE users CASCADE", {"users", "orders", "items", "notes"}),
        ("REFRESH MATERIALIZED VIEW sums", {"sums"}),
        ("COPY plain FROM STDIN", {"plain"}),
        ("COPY users TO STDOUT", set()),
        ("COPY (DELETE FROM plain RETURNING *) TO STDOUT", {"plain"}),
        ("MERGE INTO plain p USING users u ON p.id = u.id WHEN MATCHED THEN DELETE", {"plain"}),
        ("WITH d AS (DELETE FROM plain RETURNING *) INSERT INTO audit SELECT * FROM d", {"plain", "audit"}),
        ("EXPLAIN ANALYZE DELETE FROM plain", {"plain"}),
        ("DECLARE c CURSOR FOR SELECT * FROM users", set()),
        ("SELECT * FROM users FOR UPDATE", set()),
        ("INSERT INTO events VALUES ('2020-03-01')", EVENTS),
        ("INSERT INTO events_2_1 VALUES ('2021-03-01')", {"events", "events_2", "events_2_1"}),
        ("INSERT INTO child VALUES (1)", {"parent", "child"}),
        ("UPDATE rich SET total = 1", {"orders"}),
        ("DELETE FROM rich", {"orders", "items"}),
        ("INSERT INTO order_names VALUES (1, 'x')", {"orders", "users"}),
        ("INSERT INTO ruled VALUES (1)", None),
        ("UPDATE touched SET id = 2", {"touched"}),
        ("UPDATE stamped SET id = 2", {"stamped"}),
        ("INSERT INTO logged VALUES (1)", {"logged", "audit"}),
        ("DELETE FROM logged", {"logged"}),
        ("INSERT INTO wild VALUES (1)", {"wild"}),
        ("DELETE FROM wild", None),
        ("INSERT INTO numbered (t) VALUES ('x')", {"numbered", "plain"}),
        ("DELETE FROM numbered", {"numbered"}),
        ("INSERT INTO nowhere VALUES (1)", None),
        ("INSERT INTO pg_temp.mine VALUES (1)", set()),
        ("SELECT write_plain()", {"plain"}),
        ("SELECT sneaky()", {"plain"}),
        ("SELECT unmarked()", set()),
        ("SELECT writes_users()", {"users", "notes"}),
        ("SELECT pl_dynamic()", None),
        ("SELECT nothing_like_that()", None),
        ("SELECT * FROM crosstab('SELECT 1, 2, 3') AS c(a int, b int)", None),
        ("CALL proceeds()", {"plain"}),
        ("CALL alters()", None),
        ("CALL something()", None),
        ("DO $$ BEGIN END $$", None),
        ("CREATE TABLE t (a int)", None),
        ("ALTER TABLE users ADD x int", None),
        ("SELECT * INTO made FROM users", None),
        ("COMMIT PREPARED 'x'", None),
        ("SELEC", None),
    ],
)
def test_writes(picture: Picture, text: str, expected: set[str] | None) -> None:
    assert picture.writes(text) == expected


@pytest.mark.parametrize(
    ("text", "is_clean"),
    [
        ("SELECT pure_add(1, 2)", True),
        ("SELECT pl_count()", True),
        ("SELECT write_plain()", True),
        ("SELECT takes_short_lock()", True),
        ("SELECT similarity('a', 'b')", True),
        ("SELECT touches()", True),
        ("CALL proceeds()", True),
        ("CALL alters()", False),
        ("CALL ends()", False),
        ("SELECT deletes_wild()", False),
        ("SELECT sets_guc()", False),
        ("SELECT takes_lock()", False),
        ("SELECT calls_lock()", False),
        ("SELECT makes_temp()", False),
        ("SELECT listens()", False),
        ("SELECT pl_dynamic()", False),
        ("SELECT cyclic(1)", False),
        ("SELECT nothing_like_that()", False),
        ("SELECT set_limit(0.4)", False),
        ("SELECT dblink_connect('')", False),
        ("SELECT set_config(name, 'x', false), pure_add(1, 2) FROM users", False),
        ("CALL something()", False),
        ("DO $$ BEGIN END $$", False),
        ("SELECT pure_add(1, 2); SELECT takes_lock()", False),
    ],
)
def test_what_is_left(picture: Picture, text: str, is_clean: bool) -> None:
    assert picture.is_clean(text) is is_clean


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("SELECT 1", False),
        ("CALL proceeds()", False),
        ("CALL alters()", True),
        ("CALL proceeds(); CALL something()", True),
        ("CALL proceeds(); CREATE TABLE t (a int)", True),
        ("CREATE TEMP TABLE t (a int)", False),
        ("DO $$ BEGIN END $$", True),
        ("SELEC", False),
    ],
)
def test_what_changes_the_catalogue(picture: Picture, text: str, changes: bool) -> None:
    assert picture.catalogue.changes_catalogue(classify(text)) is changes


@pytest.mark.parametrize("version", [120000, 180000])
async def test_the_queries_of_every_version_are_understood(
    postgres_server: Server, picture: Picture, version: int
) -> None:
    """As far as one server can tell: the texts differ in what they ask for, not in how."""
    async with session(postgres_server.port, DATABASE) as client:
        other = await read_catalogue(client, version)
    assert other.reads("SELECT pl_count()") == picture.reads("SELECT pl_count()")
    assert (other.reads("SELECT atomic_total()") == {"orders"}) is (version >= 140000)
