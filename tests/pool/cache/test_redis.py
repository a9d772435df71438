"""Results in a real Redis: two pools, as on two machines, that see each other's writes; and what happens without it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from redis import asyncio as redis

from longshore.pool.cache.model import CacheRules
from longshore.pool.cache.redis_store import RedisStore
from longshore.pool.cache.store_address import parse_store
from longshore.proto.postgres import messages as m
from tests.pool.cache.gate import Gate, gate_to
from tests.pool.cache.rig import CacheRig, cached_pool, rows, session
from tests.pool.cache.test_writes import READ, SETUP, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres", "redis-server")


@asynccontextmanager
async def redis_pool(
    postgres_port: int,
    redis_port: int,
    *,
    timeout_s: float = 10.0,
    rules: CacheRules | None = None,
    knows_tables: bool = True,
) -> AsyncIterator[CacheRig]:
    """A pool whose results are in Redis."""
    store = RedisStore(parse_store(f"redis://127.0.0.1:{redis_port}"), monotonic, timeout_s=timeout_s)
    try:
        async with cached_pool(postgres_port, remote=store, rules=rules, knows_tables=knows_tables) as rig:
            yield rig
    finally:
        await store.aclose()


@asynccontextmanager
async def two_pools(postgres: Server, server: Server) -> AsyncIterator[tuple[CacheRig, CacheRig, Gate]]:
    """Two pools in front of a new table; Redis answers the second one through the gate."""
    client = redis.Redis(port=server.port)
    await client.flushall()
    await client.aclose()
    async with (
        gate_to(server.port) as gate,
        redis_pool(postgres.port, server.port) as one,
        redis_pool(postgres.port, gate.port) as two,
    ):
        async with session(one.port) as maker:
            await maker.query(SETUP)
        yield one, two, gate


async def test_a_result_of_one_machine_is_a_hit_on_the_other(postgres_server: Server, redis_server: Server) -> None:
    async with (
        two_pools(postgres_server, redis_server) as (one, two, _),
        session(one.port) as here,
        session(two.port) as there,
    ):
        one.take_counts()
        assert await rows(here, READ) == [b"1"]
        await until(lambda: not one.store._tasks)
        assert await rows(there, READ) == [b"1"]
        assert one.take_counts() == {"miss": 1}
        assert two.take_counts() == {"hit": 1}
        await there.query("UPDATE a SET v = 2")
        assert await rows(here, READ) == [b"2"]
        assert await rows(there, READ) == [b"2"]


async def test_a_commit_is_told_when_the_others_know(postgres_server: Server, redis_server: Server) -> None:
    async with (
        two_pools(postgres_server, redis_server) as (one, two, gate),
        session(one.port) as here,
        session(two.port) as there,
    ):
        assert await rows(here, READ) == [b"1"]
        assert await rows(there, READ) == [b"1"]  # its connection to Redis is there
        gate.shut()
        there.send(m.Query(b"UPDATE a SET v = 2"))
        await gate.has_come()  # Redis has done it, the pool does not know yet
        assert await rows(here, READ) == [b"2"]
        (writer,) = two.clients
        assert writer._engine.wire.to_client
        gate.open()
        await there.until_ready()


async def test_without_redis_reads_go_to_the_database(postgres_server: Server, redis_server: Server) -> None:
    async with (
        two_pools(postgres_server, redis_server) as (one, two, gate),
        session(one.port) as here,
        session(two.port) as there,
    ):
        assert await rows(there, READ) == [b"1"]
        gate.refuse()
        await there.query("UPDATE a SET v = 2")  # nobody can be told
        two.take_counts()
        assert await rows(there, READ) == [b"2"]
        assert two.take_counts() == {"store unavailable": 1}
        report = two.pools.read_cache.report()
        assert not report.is_available
        assert report.store_failures > 0
        gate.accept()
        await until(lambda: two.pools.read_cache.report().is_available)
        assert await rows(here, READ) == [b"2"]  # it was made up for
        assert await rows(there, READ) == [b"2"]
        one.take_counts()


async def test_a_redis_that_lost_everything_gives_nothing_old(postgres_server: Server, redis_server: Server) -> None:
    async with two_pools(postgres_server, redis_server) as (one, two, _):
        client = redis.Redis(port=redis_server.port)
        async with session(one.port) as here, session(two.port) as there:
            assert await rows(here, READ) == [b"1"]
            await until(lambda: not one.store._tasks)
            versions = [key async for key in client.scan_iter("longshore:version:*")]
            await client.delete(*versions)
            await there.query("UPDATE a SET v = 2")
            await client.delete(*versions)
            assert await rows(here, READ) == [b"2"]
            assert await client.get(b"no such key") is None
        await client.aclose()


async def test_a_cancel_while_redis_is_asked(postgres_server: Server, redis_server: Server) -> None:
    async with two_pools(postgres_server, redis_server) as (_, two, gate), session(two.port) as client:
        assert await rows(client, READ) == [b"1"]
        gate.shut()
        client.send(m.Query(READ.encode()))
        await gate.has_come()
        await client.cancel()
        error, _ = await client.until_ready()
        assert b"57014" in error.raw
        gate.open()
        assert await rows(client, READ) == [b"1"]


async def test_results_end_by_their_time(postgres_server: Server, redis_server: Server) -> None:
    rules = CacheRules(is_enabled=True, max_age_s=0.05, stale_while_revalidate_s=0)
    async with redis_pool(postgres_server.port, redis_server.port, rules=rules) as rig, session(rig.port) as client:
        await client.query(SETUP)
        async with session(postgres_server.port) as outside:
            assert await rows(client, READ) == [b"1"]
            await outside.query("UPDATE a SET v = 2")
            async with redis.Redis(port=redis_server.port) as store:

                async def is_gone() -> bool:
                    return not [key async for key in store.scan_iter("longshore:result:*")]

                while not await is_gone():
                    pass
            assert await rows(client, READ) == [b"2"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://cache.internal", "redis://cache.internal"),
        ("rediss://u:secret@[::1]:6380/3", "rediss://[::1]:6380/3"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_the_address_of_a_store_has_no_password(url: str, name: str) -> None:
    address = parse_store(url)
    assert str(address) == name
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache.internal:6379",
        "http://secret",
        "redis://",
        "redis://:secret@h:99999",
        "redis://h/secret",
        "unix://",
        "redis://h?secret=1",
    ],
)
def test_what_is_no_address_of_a_store(url: str) -> None:
    with pytest.raises(ValueError, match="write redis://") as caught:
        parse_store(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="keep one"):
        parse_store("redis://:a@h", "b")
