"""Many sessions that ask the same: one asks the database, whatever becomes of it; and results that grow old."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.cache.model import CacheRules
from longshore.proto.postgres import messages as m
from tests.pool.cache.gate import gate_to
from tests.pool.cache.rig import CacheRig, cached_pool, rows, session
from tests.pool.cache.test_writes import READ, gated_pool, until

if TYPE_CHECKING:
    from longshore.proto.postgres.framing import Frame
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

RULES = CacheRules(is_enabled=True, max_age_s=60, stale_while_revalidate_s=15)


def values(frames: list[Frame]) -> list[bytes]:
    """Return the only column of all rows."""
    return [frame.raw[11:] for frame in frames if frame.type == ord("D")]


def error_of(frames: list[Frame]) -> bytes:
    """Return the only error."""
    (error,) = (frame.raw for frame in frames if frame.type == ord("E"))
    return error


async def warm_up(*clients: RawSession) -> None:
    """Make the pool have a server connection for each."""
    for client in clients:
        await client.query("BEGIN")
    for client in clients:
        await client.query("ROLLBACK")


def waiting(rig: CacheRig) -> int:
    """Return how many sessions wait for another one's answer."""
    return rig.pools.read_cache.report().waiting


async def test_one_asks_and_the_others_wait(postgres_server: Server) -> None:
    async with (
        gated_pool(postgres_server) as (rig, gate),
        session(rig.port) as one,
        session(rig.port) as two,
        session(rig.port) as three,
    ):
        rig.take_counts()
        gate.shut()
        for client in (one, two, three):
            client.send(m.Query(READ.encode()))
        await gate.has_come()
        await until(lambda: waiting(rig) == 2)
        assert rig.in_use() == 1
        gate.open()
        for client in (one, two, three):
            assert values(await client.until_ready()) == [b"1"]
        assert rig.take_counts() == {"miss": 1, "shared": 2}


async def test_what_stands_behind_waits_too(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        gate.shut()
        one.send(m.Query(READ.encode()))
        await gate.has_come()
        two.send(m.Query(READ.encode()), m.Query(b"SELECT 5"), m.Query(READ.encode()))
        await until(lambda: waiting(rig) == 1)
        gate.open()
        assert values(await two.until_ready(3)) == [b"1", b"5", b"1"]
        await one.until_ready()


async def test_if_the_first_dies_the_next_asks(postgres_server: Server) -> None:
    async with (
        gated_pool(postgres_server) as (rig, gate),
        session(rig.port) as one,
        session(rig.port) as two,
        session(rig.port) as three,
    ):
        gate.shut()
        one.send(m.Query(READ.encode()))
        await gate.has_come()
        two.send(m.Query(READ.encode()))
        three.send(m.Query(READ.encode()))
        await until(lambda: waiting(rig) == 2)
        one.abort()
        await until(lambda: waiting(rig) == 1)
        gate.open()
        assert values(await two.until_ready()) == [b"1"]
        assert values(await three.until_ready()) == [b"1"]


async def test_if_the_first_fails_the_next_asks_itself(postgres_server: Server) -> None:
    text = b"SELECT 1 / (v - 1) FROM a"
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        gate.shut()
        one.send(m.Query(text))
        await gate.has_come()
        two.send(m.Query(text))
        await until(lambda: waiting(rig) == 1)
        gate.open()
        for client in (one, two):
            assert b"22012" in error_of(await client.until_ready())
        assert rig.take_counts()["failed"] == 2


async def test_who_waits_can_be_cancelled(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        gate.shut()
        one.send(m.Query(READ.encode()))
        await gate.has_come()
        two.send(m.Query(READ.encode()))
        await until(lambda: waiting(rig) == 1)
        await two.cancel()
        error, _ = await two.until_ready()
        assert b"57014" in error.raw
        assert waiting(rig) == 0
        gate.open()
        assert values(await one.until_ready()) == [b"1"]
        assert await rows(two, READ) == [b"1"]


async def test_if_the_first_is_cancelled_the_next_asks(postgres_server: Server) -> None:
    text = b"SELECT v FROM a, pg_sleep(30)"
    async with gated_pool(postgres_server) as (rig, _), session(rig.port) as one, session(rig.port) as two:
        one.send(m.Query(text))
        await until(lambda: rig.in_use() == 1)
        two.send(m.Query(text))
        await until(lambda: waiting(rig) == 1)
        await one.cancel()
        assert b"57014" in error_of(await one.until_ready())
        await until(lambda: rig.in_use() == 1 and waiting(rig) == 0)
        await two.cancel()
        assert b"57014" in error_of(await two.until_ready())


async def test_waiting_is_bounded(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        await warm_up(one, two)
        rig.cache.max_wait_s = 0.01
        gate.shut()
        one.send(m.Query(READ.encode()))
        await gate.has_come()
        two.send(m.Query(READ.encode()))
        await until(lambda: rig.in_use() == 2)
        gate.open()
        for client in (one, two):
            assert values(await client.until_ready()) == [b"1"]


async def test_who_comes_behind_a_write_does_not_take_the_older_answer(postgres_server: Server) -> None:
    async with gated_pool(postgres_server) as (rig, gate), session(rig.port) as one, session(rig.port) as two:
        await warm_up(one, two)
        gate.shut(b"SELECT 1")
        one.send(m.Query(READ.encode()))
        await gate.has_come()
        await two.query("UPDATE a SET v = 2")
        two.send(m.Query(READ.encode()))
        await until(lambda: rig.in_use() == 2)
        gate.open()
        assert values(await two.until_ready()) == [b"2"]
        assert values(await one.until_ready()) == [b"1"]
        assert await rows(one, READ) == [b"2"]


async def test_an_old_result_is_given_while_one_session_fetches_the_new_one(postgres_server: Server) -> None:
    async with (
        gate_to(postgres_server.port) as gate,
        cached_pool(gate.port, rules=RULES) as rig,
        session(rig.port) as one,
        session(rig.port) as two,
        session(postgres_server.port) as outside,
    ):
        await outside.query("DROP TABLE IF EXISTS a CASCADE; CREATE TABLE a (v int); INSERT INTO a VALUES (1)")
        assert await rows(one, READ) == [b"1"]
        await outside.query("UPDATE a SET v = 2")  # past the pool: only time tells
        rig.clock.now += 59
        assert await rows(one, READ) == [b"1"]
        rig.clock.now += 2
        gate.shut()
        assert await rows(one, READ) == [b"1"]
        await gate.has_come()
        assert await rows(two, READ) == [b"1"]
        assert rig.take_counts() == {"miss": 1, "hit": 1, "stale": 2}
        gate.open()
        await until(lambda: not rig.pools.read_cache._flights)
        assert await rows(two, READ) == [b"2"]
        assert rig.take_counts() == {"hit": 1}


async def test_beyond_both_times_the_database_is_asked(postgres_server: Server) -> None:
    async with (
        cached_pool(postgres_server.port, rules=RULES) as rig,
        session(rig.port) as one,
        session(postgres_server.port) as outside,
    ):
        await outside.query("DROP TABLE IF EXISTS a CASCADE; CREATE TABLE a (v int); INSERT INTO a VALUES (1)")
        await rows(one, READ)
        await outside.query("UPDATE a SET v = 2")
        rig.clock.now += 76
        assert await rows(one, READ) == [b"2"]
        rig.clock.now += 6
        await outside.query("UPDATE a SET v = 3")
        assert await rows(one, READ + " /* longshore: ttl=5 swr=0 */") == [b"3"]
        assert rig.take_counts() == {"miss": 3}


async def test_a_refresh_has_the_settings_of_whoever_asked(postgres_server: Server) -> None:
    text = b"SELECT v, '2020-01-01 00:00+00'::timestamptz FROM a WHERE v > $1"
    batch = (
        m.Parse(b"", text, (23,)),
        m.Describe(b"S", b""),
        m.Bind(b"", b"", (), (b"0",), ()),
        m.Execute(b"", 0),
        m.Sync(),
    )
    async with (
        cached_pool(postgres_server.port, rules=RULES) as rig,
        session(rig.port) as one,
        session(postgres_server.port) as outside,
    ):
        await outside.query("DROP TABLE IF EXISTS a CASCADE; CREATE TABLE a (v int); INSERT INTO a VALUES (1)")
        await one.query("SET TimeZone = 'Asia/Tokyo'")
        one.send(*batch)
        first = [frame.raw for frame in await one.until_ready()]
        rig.clock.now += 61
        one.send(*batch)
        await one.until_ready()
        await until(lambda: not rig.pools.read_cache._flights)
        one.send(*batch)
        assert [frame.raw for frame in await one.until_ready()] == first
        assert rig.take_counts() == {"miss": 1, "stale": 1, "hit": 1}


async def test_a_pool_that_closes_leaves_no_refresh(postgres_server: Server) -> None:
    async with gate_to(postgres_server.port) as gate:
        async with cached_pool(gate.port, rules=RULES) as rig, session(rig.port) as one:
            await one.query("DROP TABLE IF EXISTS a CASCADE; CREATE TABLE a (v int); INSERT INTO a VALUES (1)")
            await rows(one, READ)
            rig.clock.now += 61
            gate.shut()
            await rows(one, READ)
            await gate.has_come()
        gate.open()
        await asyncio.sleep(0)
