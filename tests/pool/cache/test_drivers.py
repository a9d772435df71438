"""Drivers as they are, a new connection for each read: from the second or third on it is the cache that answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pg8000.native
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest

from tests.pool.cache.rig import cached_pool, session
from tests.pool.rig import HOST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def with_asyncpg(port: int) -> int:
    """Prepares, describes and flushes first."""
    connection = await asyncpg.connect(host=HOST, port=port, user="postgres", database="postgres", ssl=False)
    try:
        return int(await connection.fetchval("SELECT v FROM a WHERE v >= $1", 0))
    finally:
        await connection.close()


async def with_psycopg(port: int) -> int:
    """Parse, Bind, Describe and Execute at once."""

    def read() -> int:
        where = f"host={HOST} port={port} user=postgres dbname=postgres sslmode=disable"
        with psycopg.connect(where, autocommit=True) as connection:
            row = connection.execute("SELECT v FROM a WHERE v >= %s", (0,)).fetchone()
            assert row is not None
            return int(row[0])

    return await asyncio.to_thread(read)


async def with_psycopg2(port: int) -> int:
    """Simple queries."""

    def read() -> int:
        connection = psycopg2.connect(host=HOST, port=port, user="postgres", dbname="postgres", sslmode="disable")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT v FROM a WHERE v >= %s", (0,))
                return int(cursor.fetchone()[0])
        finally:
            connection.close()

    return await asyncio.to_thread(read)


async def with_pg8000(port: int) -> int:
    """Parse, Describe and Bind in batches of their own."""

    def read() -> int:
        connection = pg8000.native.Connection("postgres", host=HOST, port=port, database="postgres")
        try:
            return int(connection.run("SELECT v FROM a WHERE v >= :low", low=0)[0][0])
        finally:
            connection.close()

    return await asyncio.to_thread(read)


@pytest.mark.parametrize("read", [with_asyncpg, with_psycopg, with_psycopg2, with_pg8000])
async def test_a_driver_is_answered_from_the_cache(
    postgres_server: Server, read: Callable[[int], Awaitable[int]]
) -> None:
    async with cached_pool(postgres_server.port) as rig, session(rig.port) as client:
        await client.query("DROP TABLE IF EXISTS a CASCADE; CREATE TABLE a (v int); INSERT INTO a VALUES (1)")
        for _ in range(3):
            assert await read(rig.port) == 1
        rig.take_counts()
        assert await read(rig.port) == 1
        assert rig.take_counts() == {"hit": 1}
        await client.query("UPDATE a SET v = 2")
        assert await read(rig.port) == 2
