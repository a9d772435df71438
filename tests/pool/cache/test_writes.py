"""Whatever writes makes what was kept worthless, before its client hears of it; whatever happens to the client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.proto.postgres import messages as m
from tests.pool.cache.gate import Gate, gate_to
from tests.pool.cache.rig import CacheRig, cached_pool, rows, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

READ = "SELECT v FROM a ORDER BY v"
SETUP = """
DROP TABLE IF EXISTS a, b CASCADE; CREATE TABLE a (v int); CREATE TABLE b (v int); INSERT INTO a VALUES (1);
CREATE OR REPLACE FUNCTION write_a() RETURNS int LANGUAGE sql AS 'UPDATE public.a SET v = 2; SELECT 0';
CREATE OR REPLACE PROCEDURE proc_a() LANGUAGE sql AS 'UPDATE public.a SET v = 2'
"""


@asynccontextmanager
async def gated_pool(server: Server) -> AsyncIterator[tuple[CacheRig, Gate]]:
    """A pool whose answers can be kept back."""
    async with gate_to(server.port) as gate, cached_pool(gate.port) as rig:
        async with session(rig.port) as maker:
            await maker.query(SETUP)
        yield rig, gate


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop go on until something is so."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("write", "after"),
    [
        ("UPDATE a SET v = 2", [b"2"]),
        ("WITH w AS (UPDATE a SET v = 2 RETURNING v) SELECT * FROM w", [b"2"]),
        ("BEGIN; UPDATE a SET v = 2; COMMIT", [b"2"]),
        ("UPDATE a SET v = 2; SELECT 1", [b"2"]),
        ("TRUNCATE a", []),
        ("DELETE FROM a", []),
        ("SELECT write_a()", [b"2"]),
        ("CALL proc_a()", [b"2"]),
        ("DO $$BEGIN UPDATE a SET v = 2; END$$", [b"2"]),
        ("PREPARE w AS UPDATE a SET v = 2; EXECUTE w", [b"2"]),
        ("ALTER TABLE a ALTER v TYPE text USING 'x'", [b"x"]),
        ("DROP TABLE a; CREATE TABLE a (v int)", []),
        ("BEGIN; ALTER TABLE a RENAME TO old; ALTER TABLE b RENAME TO a; ALTER TABLE old RENAME TO b; COMMIT", []),
    ],
)
async def test_a_write_ends_what_was_kept(postgres_server: Server, write: str, after: list[bytes]) -> None:
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as one, session(rig.port) as two:
        assert await rows(one, READ) == [b"1"]
        await two.query(write)
        assert await rows(two, READ) == after  # its own writes
        assert await rows(one, READ) == after


async def test_writes_to_other_tables_leave_it(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as client:
        await rows(client, READ)
        rig.take_counts()
        await client.query("INSERT INTO b VALUES (1)")
        await client.query("BEGIN; INSERT INTO b VALUES (2); COMMIT")
        await rows(client, READ)
        assert rig.take_counts() == {"hit": 1}


async def test_a_block_counts_when_it_is_committed(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as one, session(rig.port) as two:
        await rows(one, READ)
        rig.take_counts()
        await two.query("BEGIN")
        await two.query("UPDATE a SET v = 2")
        assert await rows(one, READ) == [b"1"]
        assert rig.take_counts() == {"hit": 1}
        await two.query("COMMIT")
        assert await rows(one, READ) == [b"2"]


async def test_copy_and_extended_writes_count(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as one, session(rig.port) as two:
        await rows(one, READ)
        two.send(m.Query(b"COPY a FROM stdin"))
        await two.frame()
        two.send(m.CopyData(b"2\n"), m.CopyDone())
        await two.until_ready()
        assert await rows(one, READ) == [b"1", b"2"]
        two.send(m.Parse(b"s", b"INSERT INTO a VALUES ($1)", (23,)), m.Sync())
        await two.until_ready()
        for value in (b"3", b"4"):
            two.send(m.Bind(b"", b"s", (), (value,), ()), m.Execute(b"", 0), m.Sync())
            await two.until_ready()
            assert (await rows(one, READ))[-1] == value


async def test_a_prepared_transaction_counts_when_it_is_committed(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as one, session(rig.port) as two:
        if await two.value("SHOW max_prepared_transactions") == "0":
            pytest.skip("this server has no prepared transactions")
        await two.query("BEGIN; UPDATE a SET v = 2; PREPARE TRANSACTION 'x'")
        assert await rows(one, READ) == [b"1"]
        await two.query("COMMIT PREPARED 'x'")
        assert await rows(one, READ) == [b"2"]


async def test_a_result_that_a_write_overtakes_is_not_kept(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        await two.query(READ)  # both server connections are there
        await two.query("INSERT INTO a VALUES (7)")
        gate.shut(b"SELECT 2")  # the answer of the read, not of the write
        one.send(m.Query(READ.encode()))
        await gate.has_come()
        await two.query("UPDATE a SET v = v + 10")
        gate.open()
        assert [frame.raw[11:] for frame in await one.until_ready()][1:3] == [b"1", b"7"]  # it began before the write
        assert await rows(two, READ) == [b"11", b"17"]
        assert await rows(one, READ) == [b"11", b"17"]


async def test_nobody_reads_old_rows_when_a_commit_is_told(postgres_server: Server) -> None:
    """The confirmation of the commit is kept back: until then the old result may be given, and not a moment longer."""
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        await rows(one, READ)
        await two.query("BEGIN")
        await two.query("UPDATE a SET v = 2")
        gate.shut(b"COMMIT")
        two.send(m.Query(b"COMMIT"))
        await gate.has_come()
        assert await rows(one, READ) == [b"1"]
        gate.open()
        await two.until_ready()
        assert await rows(one, READ) == [b"2"]


async def test_a_client_that_dies_in_its_commit_is_no_excuse(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        await rows(one, READ)
        await two.query("BEGIN")
        await two.query("UPDATE a SET v = 2")
        gate.shut(b"COMMIT")
        two.send(m.Query(b"COMMIT"))
        await gate.has_come()
        invalidations = rig.pools.read_cache.invalidations
        two.abort()
        await until(lambda: len(rig.pools.clients) == 1)
        gate.open()
        await until(lambda: rig.pools.read_cache.invalidations > invalidations)
        assert await rows(one, READ) == [b"2"]


async def test_a_server_connection_that_breaks_in_a_commit_is_no_excuse(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        await rows(one, READ)
        gate.shut(b"UPDATE")
        two.send(m.Query(b"UPDATE a SET v = 2"))
        await gate.has_come()
        gate.drop()
        gate.open()
        with pytest.raises((EOFError, ConnectionError, AssertionError)):
            assert not [frame for frame in await two.until_ready() if frame.type == ord("E")]
        assert await rows(one, READ) == [b"2"]


async def test_pools_of_one_database_know_of_each_other(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as one:
        await one.query("DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN SUPERUSER")
        assert await rows(one, READ) == [b"1"]
        async with session(rig.port, user="writer") as two:
            assert await rows(two, READ) == [b"1"]
            await two.query("UPDATE a SET v = 2")
            assert await rows(one, READ) == [b"2"]
            await one.query("UPDATE a SET v = 3")
            assert await rows(two, READ) == [b"3"]
        assert len(list(rig.pools.pools())) == 2
