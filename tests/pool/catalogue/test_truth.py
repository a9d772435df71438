"""What the catalogue says of statements, compared with what the server does.

Inside a transaction the server says which relations it has locked, and in which it has changed rows. Every relation
that it read must be in the plan; every one in which it changed rows must be among those written.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from longshore.pool.cache.model import Reason
from longshore.proto.postgres.constants import BackendType
from tests.pool.catalogue.picture import read_catalogue
from tests.pool.catalogue.schema import make_database
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.pool.catalogue.picture import Picture
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

DATABASE = "catalogue_truth"
ROWS = """
INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO orders VALUES (1, 1, 20, '2020-01-01'), (2, 2, 5, '2021-01-01');
INSERT INTO items VALUES (1, 1), (2, 2);
INSERT INTO notes VALUES (1, 1), (2, 3);
INSERT INTO plain VALUES (1, 'x'), (2, 'y');
INSERT INTO events VALUES ('2020-05-01', 1), ('2021-05-01', 2);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1, 2);
INSERT INTO touched VALUES (1);
INSERT INTO stamped VALUES (1);
INSERT INTO wild VALUES (1);
INSERT INTO twin VALUES (1);
"""
LOCKED = """
SELECT coalesce(json_agg(DISTINCT c.relname), '[]') FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
  AND c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_'
"""
CHANGED = """
SELECT coalesce(json_agg(relname), '[]') FROM pg_stat_xact_user_tables
  WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""

READS = [
    "SELECT * FROM users",
    "TABLE plain",
    "SELECT * FROM users JOIN orders ON users.id = orders.user_id WHERE orders.total > 3",
    "SELECT (SELECT count(*) FROM notes), * FROM users WHERE EXISTS (SELECT FROM items)",
    "SELECT * FROM users WHERE id IN (SELECT user_id FROM orders) OR name = ANY (SELECT t FROM plain)",
    "WITH plain AS (SELECT * FROM plain) SELECT * FROM plain",
    "WITH RECURSIVE u(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM u, users WHERE n < 3) SELECT * FROM u",
    "SELECT * FROM users UNION SELECT id, t, NULL FROM plain EXCEPT SELECT id, 'x', NULL FROM notes",
    "SELECT * FROM events",
    "SELECT * FROM events WHERE at = '2020-05-01'",
    "SELECT * FROM ONLY parent",
    "SELECT * FROM parent",
    "SELECT * FROM order_names",
    "SELECT * FROM outer_names, rich",
    "SELECT order_total(id) FROM users",
    "SELECT atomic_total(), pure_add(1, 2), atomic_return(3)",
    "SELECT pl_count()",
    "SELECT p.full_name FROM plain p",
    "SELECT in_other(), * FROM public.twin",
    "SELECT summed(total) OVER (ORDER BY id) FROM orders",
    "SELECT u.name, x.* FROM users u LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id) x ON true",
    "SELECT json_agg(u) FROM (SELECT * FROM users ORDER BY id LIMIT 2) u",
    "SELECT CASE WHEN EXISTS (SELECT 1 FROM audit) THEN 1 ELSE (SELECT max(id) FROM items) END",
    "VALUES ((SELECT count(*) FROM plain))",
]
WRITES = [
    "INSERT INTO plain VALUES (3, 'z')",
    "INSERT INTO users VALUES (9, 'z') ON CONFLICT (id) DO UPDATE SET name = 'y'",
    "INSERT INTO users VALUES (3, 'z') ON CONFLICT (id) DO UPDATE SET id = 33",
    "UPDATE users SET id = 11 WHERE id = 3",
    "DELETE FROM users WHERE id = 2",
    "DELETE FROM orders WHERE id = 1",
    "UPDATE plain SET t = 'q' FROM users WHERE users.id = plain.id",
    "WITH d AS (DELETE FROM plain RETURNING *) INSERT INTO audit SELECT * FROM d",
    "MERGE INTO plain p USING users u ON p.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING",
    "INSERT INTO events VALUES ('2020-03-01', 1)",
    "UPDATE events SET at = '2021-06-01' WHERE at = '2020-05-01'",
    "DELETE FROM events_2",
    "INSERT INTO child VALUES (1, 2)",
    "DELETE FROM parent",
    "UPDATE rich SET total = 99",
    "INSERT INTO order_names VALUES (77, 'x')",
    "INSERT INTO ruled VALUES (1)",
    "UPDATE touched SET id = 2",
    "UPDATE stamped SET id = 2",
    "INSERT INTO logged VALUES (1)",
    "DELETE FROM wild",
    "INSERT INTO numbered (t) VALUES ('x')",
    "SELECT write_plain()",
    "SELECT sneaky()",
    "SELECT writes_users()",
    "SELECT with_default()",
    "SELECT next_number() FROM users",
    "EXPLAIN ANALYZE DELETE FROM plain",
    "COPY (DELETE FROM plain RETURNING *) TO STDOUT",
    "REFRESH MATERIALIZED VIEW sums",
]


@pytest.fixture(scope="module")
def picture(postgres_server: Server) -> Picture:
    make_database(postgres_server, DATABASE)

    async def read() -> Picture:
        async with session(postgres_server.port, DATABASE) as client:
            await client.query(ROWS)
            return await read_catalogue(client)

    return asyncio.run(read())


async def observed(client: RawSession, text: str, question: str) -> set[str]:
    """Run a text, ask, and undo it."""
    await client.query("BEGIN")
    frames = await client.query(text)
    assert not [frame.raw for frame in frames if frame.type == BackendType.ErrorResponse]
    found = await client.value(question)
    await client.query("ROLLBACK")
    return set(json.loads(found or "[]"))


@pytest.mark.parametrize("text", READS)
async def test_everything_that_is_read_is_in_the_plan(postgres_server: Server, picture: Picture, text: str) -> None:
    async with session(postgres_server.port, DATABASE) as client:
        locked = await observed(client, text, LOCKED)
    plan = picture.reads(text)
    assert not isinstance(plan, Reason)
    assert locked <= plan
    assert locked  # or nothing was compared


@pytest.mark.parametrize("text", WRITES)
async def test_everything_that_is_changed_is_among_what_is_written(
    postgres_server: Server, picture: Picture, text: str
) -> None:
    async with session(postgres_server.port, DATABASE) as client:
        changed = await observed(client, text, CHANGED)
    written = picture.writes(text)
    assert written is None or changed <= written
    assert changed or text.startswith("REFRESH")


async def test_a_cached_read_never_differs_while_nothing_it_depends_on_is_written(
    postgres_server: Server, picture: Picture
) -> None:
    """Each read is run before and after each write: where its result has changed, the write must tell of it."""
    async with session(postgres_server.port, DATABASE) as client:
        for write in WRITES:
            written = picture.writes(write)
            if written is None:
                continue
            for read in READS:
                plan = picture.reads(read)
                assert not isinstance(plan, Reason)
                if plan & written:
                    continue
                assert await differs(client, write, read) is False, (write, read)


async def differs(client: RawSession, write: str, read: str) -> bool:
    """Return whether a write changes the result of a read."""
    await client.query("BEGIN")
    before = await rows(client, read)
    await client.query(write)
    after = await rows(client, read)
    await client.query("ROLLBACK")
    return before != after


async def rows(client: RawSession, text: str) -> list[bytes]:
    """Return the result of a read, sorted."""
    return sorted(frame.raw for frame in await client.query(text) if frame.type == BackendType.DataRow)
