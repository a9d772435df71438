"""During an online restart two processes have clients: nothing comes from memory until there is one again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pool.cache.rig import cached_pool, rows, session
from tests.pool.cache.test_writes import READ, SETUP

if TYPE_CHECKING:
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def test_nothing_is_answered_from_memory_and_nothing_old_afterwards(postgres_server: Server) -> None:
    async with (
        cached_pool(postgres_server.port) as rig,
        session(rig.port) as client,
        session(postgres_server.port) as other,
    ):
        await client.query(SETUP)
        for _ in range(3):
            assert await rows(client, READ) == [b"1"]
        rig.take_counts()
        rig.pools.read_cache.suspend()
        await other.query("UPDATE a SET v = 2")  # as the other process would
        assert await rows(client, READ) == [b"2"]
        await other.query("UPDATE a SET v = 3")
        rig.pools.read_cache.resume()
        assert await rows(client, READ) == [b"3"]
        assert await rows(client, READ) == [b"3"]
        assert rig.take_counts() == {"suspended": 1, "miss": 1, "hit": 1}
