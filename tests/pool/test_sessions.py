"""Sessions through the pool, against a real server: what is not a matter of comparing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.proto.postgres import messages as m
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def _until(client: RawSession, text: str, value: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while await client.value(text) != value:
            pass


async def test_a_cancel_hits_the_session_and_nobody_after_it(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        one.send(m.Query(b"SELECT pg_sleep(60)"))
        answer = asyncio.ensure_future(one.until_ready())
        while not answer.done():
            cancel = asyncio.ensure_future(one.cancel())
            await asyncio.wait([answer], timeout=0.01)
            await cancel
        assert any(b"57014" in frame.raw for frame in await answer)
        for _ in range(50):
            await one.cancel()
            assert await two.value("SELECT 'untouched'") == "untouched"


async def test_no_query_is_hit_that_comes_behind_the_end_of_a_cancel(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one:
        await one.query("BEGIN")  # so that it keeps its connection
        for _ in range(100):
            await one.cancel()
            assert await one.value("SELECT 'untouched'") == "untouched"


async def test_a_cancel_does_not_undo_what_the_pool_restores(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("SET my.zone = 'mine'; SET timezone = 'Asia/Tokyo'")
        for _ in range(50):
            await two.query("SET timezone = 'UTC'")
            one.send(m.Query(b"SELECT current_setting('timezone')"))
            cancels = [asyncio.ensure_future(one.cancel()) for _ in range(3)]
            frames = await one.until_ready()
            assert any(b"57014" in frame.raw or b"Asia/Tokyo" in frame.raw for frame in frames)
            await asyncio.gather(*cancels)


async def test_a_cancel_reaches_who_waits_for_a_connection(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("BEGIN")
        two.send(m.Query(b"SELECT 1"))
        await asyncio.sleep(0.05)
        await two.cancel()
        frames = await two.until_ready()
        assert b"57014" in frames[0].raw
        await one.query("COMMIT")
        assert await two.value("SELECT 2") == "2"


@pytest.mark.parametrize(
    "last",
    [
        b"",
        m.Query(b"SELECT 1/0"),
        m.Query(b"SELECT pg_sleep(60)"),
        m.Query(b"COPY left_over FROM STDIN"),
        m.Query(b"SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"),
        m.Parse(b"", b"SELECT 1"),
        m.Parse(b"", b"SELEC 1"),
        b"Q\0\0\0\x20SELECT",
        b"d\0\0\x01",
    ],
    ids=str,
)
async def test_what_a_dead_client_leaves_is_taken_away(
    postgres_server: Server, last: m.FrontendMessage | bytes
) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as two:
        await two.query("CREATE TABLE IF NOT EXISTS left_over (n int)")
        async with session(rig.port) as one:
            await one.query("BEGIN; INSERT INTO left_over VALUES (1); SET timezone = 'Asia/Tokyo'")
            await one.query("SELECT pg_advisory_lock(99); CREATE TEMP TABLE mine (n int)")
            one.send(last)
            await asyncio.sleep(0.02)
            one.abort()
        assert await two.value("SELECT count(*) FROM left_over") == "0"
        assert await two.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
        assert await two.value("SELECT to_regclass('mine')") is None
        assert await two.value("SHOW timezone") != "Asia/Tokyo"


async def test_a_value_of_a_sequence_is_right_or_refused(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("CREATE SEQUENCE IF NOT EXISTS counted")
        await one.query("SELECT nextval('counted')")
        await two.query("SELECT nextval('counted')")
        frames = await one.query("SELECT currval('counted')")
        assert b"55000" in frames[0].raw
        value = await one.value("SELECT nextval('counted')")
        assert await one.value("SELECT currval('counted')") == value
        await two.query("SELECT nextval('counted')")
        assert await one.value("SELECT currval('counted')") == value


async def test_a_statement_that_ddl_made_outdated_is_parsed_anew(postgres_server: Server) -> None:
    run = (m.Bind(b"", b"s", (), (), ()), m.Describe(b"P", b""), m.Execute(b""), m.Sync())
    async with (
        session(postgres_server.port) as outside,
        pool_on(postgres_server.port, size=1) as rig,
        session(rig.port) as one,
        session(rig.port) as two,
    ):
        await outside.query("DROP TABLE IF EXISTS changing; CREATE TABLE changing (a int)")
        one.send(m.Parse(b"s", b"SELECT * FROM changing"), *run)
        await one.until_ready()
        await outside.query("ALTER TABLE changing ADD b int")
        two.send(m.Parse(b"s", b"SELECT * FROM changing"), *run)
        frames = await two.until_ready()
        assert not [frame for frame in frames if frame.raw[:1] == b"E"]
        one.send(*run)  # it was told other columns
        assert b"cached plan must not change result type" in (await one.until_ready())[0].raw


async def test_long_messages_pass(postgres_server: Server) -> None:
    long = b"x" * 3_000_000
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        bind = (m.Bind(b"", b"s", (), (long,), ()), m.Execute(b""), m.Sync())
        one.send(m.Parse(b"s", b"SELECT length($1::text)::text"), *bind)
        assert any(b"3000000" in frame.raw for frame in await one.until_ready())
        text = b"SELECT length('" + long + b"')::text"
        one.send(m.Parse(b"t", text), m.Bind(b"", b"t", (), (), ()), m.Execute(b""), m.Sync())
        assert any(b"3000000" in frame.raw for frame in await one.until_ready())
        assert "statement too long to be kept" in rig.pins
        one.abort()
        assert await two.value(text.decode()) == "3000000"


async def test_a_prepare_that_failed_does_not_replace_the_one_that_did_not(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("PREPARE p AS SELECT 'first'")
        await one.query("PREPARE p AS SELECT 'second'")  # fails
        assert await one.value("EXECUTE p") == "first"
        for text in ("BEGIN", "DEALLOCATE p", "PREPARE p AS SELECT 'third'", "ROLLBACK"):
            await one.query(text)
        await two.query("BEGIN")  # takes the connection that one had
        assert await one.value("EXECUTE p") == "third"
