"""A pool that leaves each session its server connection until the client goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.model import Mode
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def test_a_session_keeps_its_connection_and_the_next_one_finds_nothing(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1, mode=Mode.SESSION) as rig, session(rig.port) as two:
        async with session(rig.port) as one:
            pid = await one.value("SELECT pg_backend_pid()")
            await one.query("SET timezone = 'Asia/Tokyo'; CREATE TEMP TABLE mine (n int); SELECT pg_advisory_lock(5)")
            await one.query("PREPARE p AS SELECT 1; LISTEN news; CREATE SEQUENCE IF NOT EXISTS kept")
            await one.query("NOTIFY news; SELECT nextval('kept')")
            assert len(one.notifications) == 1
            assert await one.value("SELECT pg_backend_pid()") == pid
            assert await one.value("SELECT currval('kept') > 0") == "t"
            assert not rig.pins  # there is nothing to explain
            await one.aclose()
        assert await two.value("SELECT pg_backend_pid()") == pid
        assert await two.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
        assert await two.value("SELECT to_regclass('mine')") is None
        assert await two.value("SELECT count(*) FROM pg_listening_channels()") == "0"
        assert await two.value("SELECT count(*) FROM pg_prepared_statements WHERE from_sql") == "0"
        assert await two.value("SHOW timezone") != "Asia/Tokyo"
        assert any(b"55000" in frame.raw for frame in await two.query("SELECT currval('kept')"))


async def test_a_second_session_waits_for_the_first_to_go(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1, mode=Mode.SESSION) as rig, session(rig.port) as two:
        async with session(rig.port) as one:
            await one.query("SELECT 1")
            waiting = asyncio.ensure_future(two.value("SELECT 2"))
            for _ in range(20):
                assert await one.value("SELECT 3") == "3"
            assert not waiting.done()
        async with asyncio.timeout(LIMIT_S):
            assert await waiting == "2"
