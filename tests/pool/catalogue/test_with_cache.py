"""Cache and catalogue together, on a real database: through the pool nobody reads what is not so any more."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from longshore.pool.cache.model import Reason
from longshore.proto.postgres import messages as m
from tests.pool.cache.rig import cached_pool
from tests.pool.catalogue.schema import SCHEMA, make_database
from tests.pool.catalogue.test_truth import READS, ROWS, WRITES, rows
from tests.pool.catalogue.waiting import until_known
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(180)]

DATABASE = "catalogue_cached"
CHANGES = [
    "CREATE OR REPLACE VIEW rich AS SELECT * FROM orders WHERE total > 0",
    "CREATE OR REPLACE FUNCTION order_total(u int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM plain'",
    "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
    "INSERT INTO events_3 VALUES ('2030-02-02', 4)",
    "ALTER TABLE events DETACH PARTITION events_3",
    "TRUNCATE items",
    "DROP TRIGGER logged_log ON logged",
    "DO $$ BEGIN DELETE FROM notes WHERE id = 1; END $$",
    "CALL proceeds()",
    "PREPARE w AS INSERT INTO plain VALUES (50, 'p')",
    "EXECUTE w",
    "DELETE FROM plain WHERE id = 50",
    "EXPLAIN ANALYZE EXECUTE w",
    "SET standard_conforming_strings = off",
    r"SELECT '\''; DELETE FROM plain; --'",
    "RESET standard_conforming_strings",
    "CREATE TEMP TABLE mine (id int)",
    "INSERT INTO mine SELECT id FROM users",
    "DROP TABLE mine",
    "ALTER TABLE plain RENAME TO plainer",
    "ALTER TABLE plainer RENAME TO plain",
]


@pytest.fixture(autouse=True)
def database(postgres_server: Server) -> None:
    """Make it as it was at first."""
    make_database(postgres_server, DATABASE, SCHEMA)


async def compare(reader: RawSession, direct: RawSession, after: str) -> None:
    """Compare every read through the pool with the truth."""
    for read in READS:
        assert await rows(reader, read) == await rows(direct, read), (read, after)


async def test_every_read_is_right_after_every_write(postgres_server: Server) -> None:
    async with (
        cached_pool(postgres_server.port, size=3, database=DATABASE, knows_tables=False) as rig,
        session(postgres_server.port, DATABASE) as direct,
        session(rig.port, DATABASE) as reader,
        session(rig.port, DATABASE) as writer,
    ):
        await direct.query(ROWS)
        for write in [*WRITES, *CHANGES]:
            await until_known(rig)
            await compare(reader, direct, "before " + write)
            await writer.query(write)
            await compare(reader, direct, write)
        await until_known(rig)
        await compare(reader, direct, "the end")
        hits = rig.pool.statistics.cache[Reason.HIT.value]
        await compare(reader, direct, "once more")
        kept = rig.pool.statistics.cache[Reason.HIT.value] - hits
        assert kept > len(READS) / 2  # or there was nothing to be wrong about


@pytest.mark.parametrize("seed", [1, 2])
async def test_transactions_between_reads(postgres_server: Server, seed: int) -> None:
    dice = random.Random(seed)
    async with (
        cached_pool(postgres_server.port, size=3, database=DATABASE, knows_tables=False) as rig,
        session(postgres_server.port, DATABASE) as direct,
        session(rig.port, DATABASE) as reader,
        session(rig.port, DATABASE) as writer,
    ):
        await direct.query(ROWS)
        await until_known(rig)
        for _ in range(15):
            writes = dice.sample(WRITES, 2)
            await writer.query("BEGIN")
            for write in writes:
                await writer.query(write)
                if not write.startswith("REFRESH"):  # it locks out whoever reads the result
                    await rows(reader, dice.choice(READS))
            await writer.query(dice.choice(["COMMIT", "ROLLBACK"]))
            await compare(reader, direct, repr(writes))


async def test_a_write_that_waits_for_ddl_does_what_that_has_made_of_it(postgres_server: Server) -> None:
    """When it was sent nothing but ``plain`` was written by it; then it got a trigger."""
    async with (
        cached_pool(postgres_server.port, size=4, database=DATABASE, knows_tables=False) as rig,
        session(postgres_server.port, DATABASE) as direct,
        session(rig.port, DATABASE) as changer,
        session(rig.port, DATABASE) as writer,
        session(rig.port, DATABASE) as reader,
    ):
        await direct.query("DROP TABLE IF EXISTS ground, echo; CREATE TABLE ground (v int); CREATE TABLE echo (v int)")
        await direct.query("INSERT INTO ground VALUES (0); INSERT INTO echo VALUES (0)")
        body = "BEGIN UPDATE echo SET v = NEW.v; RETURN NEW; END"
        await direct.query(f"CREATE OR REPLACE FUNCTION echoes() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
        rig.pool.shared.epoch += 1
        await until_known(rig)
        before = await rows(direct, "SELECT v FROM echo")
        await changer.query("BEGIN")
        await changer.query("CREATE TRIGGER t AFTER UPDATE ON ground FOR EACH ROW EXECUTE FUNCTION echoes()")
        await writer.query("BEGIN")
        writer.send(m.Query(b"UPDATE ground SET v = 7"))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'ground'::regclass"
        async with asyncio.timeout(20):
            while not (await rows(direct, waits))[0].endswith(b"1"):
                await asyncio.sleep(0.01)
        await changer.query("COMMIT")
        await writer.until_ready()
        await until_known(rig)
        assert await rows(reader, "SELECT v FROM echo") == before
        await writer.query("COMMIT")
        assert await rows(reader, "SELECT v FROM echo") != before
