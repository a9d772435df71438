"""The cache is switched on for a pool that works: no session may have written anything that it does not know of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore.pool.cache.model import CacheRules
from longshore.proto.postgres import messages as m
from tests.pool.cache.rig import CacheRig, cached_pool, rows, session
from tests.pool.cache.test_writes import READ, SETUP

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

OFF = CacheRules()


def switch_on(rig: CacheRig) -> None:
    """Reload with a cache."""
    (entry,) = rig.pools.databases.values()
    rig.pools.reload([replace(entry, cache=CacheRules(is_enabled=True))])


async def test_sessions_that_have_begun_use_the_cache_and_end_its_results(postgres_server: Server) -> None:
    async with (
        cached_pool(postgres_server.port, rules=OFF) as rig,
        session(rig.port) as one,
        session(rig.port) as two,
        session(rig.port) as three,
    ):
        await one.query(SETUP)
        await one.query("BEGIN")
        await one.query("UPDATE a SET v = 2")
        await three.query("SET work_mem = '8MB'")
        assert rig.pool.shared.cache is None
        switch_on(rig)
        assert await rows(two, READ) == [b"1"]
        assert await rows(two, READ) == [b"1"]
        assert rig.take_counts() == {"miss": 1, "hit": 1}
        await one.query("COMMIT")
        assert await rows(two, READ) == [b"2"]
        await three.query("UPDATE a SET v = 3")
        assert await rows(two, READ) == [b"3"]
        assert rig.take_counts() == {"miss": 2}
        assert await rows(one, READ) == [b"3"]
        assert rig.take_counts() == {"hit": 1}


async def test_statements_that_are_under_way_are_noted(postgres_server: Server) -> None:
    """Of a session in the fast lane, and of one that waits for a server connection."""
    async with (
        cached_pool(postgres_server.port, rules=OFF, size=2) as rig,
        session(postgres_server.port) as direct,
        session(rig.port) as locked,
        session(rig.port) as waiting,
        session(rig.port) as reader,
    ):
        await locked.query(SETUP)
        await direct.query("BEGIN")
        await direct.query("SELECT FROM a FOR UPDATE")
        locked.send(m.Query(b"UPDATE a SET v = v + 1"))
        await waits_for_lock(direct)
        switch_on(rig)
        assert await rows(reader, READ) == [b"1"]
        assert await rows(reader, READ) == [b"1"]
        waiting.send(m.Query(b"UPDATE a SET v = v + 1"))
        await direct.query("COMMIT")
        await locked.until_ready()
        await waiting.until_ready()
        assert await rows(reader, READ) == [b"3"]
        assert rig.take_counts() == {"miss": 2, "hit": 1}


async def waits_for_lock(client: RawSession) -> None:
    """Wait until somebody waits for a row."""
    async with asyncio.timeout(20):
        while await rows(client, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [b"0"]:
            await asyncio.sleep(0.01)


async def test_another_entry_without_a_cache_ends_results_too(postgres_server: Server) -> None:
    async with cached_pool(postgres_server.port) as rig:
        (entry,) = rig.pools.databases.values()
        other = replace(entry, name="other", target=replace(entry.target, database="postgres"), cache=OFF)
        rig.pools.reload([entry, other])
        async with session(rig.port) as one, session(rig.port, "other") as two:
            await one.query(SETUP)
            assert await rows(one, READ) == await rows(one, READ) == [b"1"]
            await two.query("UPDATE a SET v = 2")
            assert await rows(one, READ) == [b"2"]
