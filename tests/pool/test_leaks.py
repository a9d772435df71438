"""What one session leaves or prepares is nothing that another one finds, however it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import BackendType
from tests.pool.rig import pool_on, session

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

_LOCK = "SELECT pg_advisory_lock(4711)"


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["SET search_path = pg_temp, public", "CREATE TABLE hidden (n int)"], "temporary object"),
        (["BEGIN; SET LOCAL search_path = pg_temp; CREATE TABLE hidden (n int); COMMIT"], "temporary object"),
        (["SELECT set_config('search_path', 'pg_temp', false)", "CREATE SEQUENCE hidden"], "temporary object"),
        (["CREATE FUNCTION pg_temp.hidden() RETURNS int LANGUAGE sql AS 'SELECT 1'"], "temporary object"),
        (["CREATE TYPE pg_temp.hidden AS ENUM ('a')"], "temporary object"),
        (["CREATE DOMAIN pg_temp.hidden AS int"], "temporary object"),
        (["CREATE SEQUENCE pg_temp.hidden"], "temporary object"),
        (["CREATE TEMP SEQUENCE hidden"], "temporary object"),
        ([f"PREPARE p AS {_LOCK}", "EXPLAIN ANALYZE EXECUTE p"], "advisory lock"),
        (["SET standard_conforming_strings = off", r"SELECT '\'', pg_advisory_lock(4711) --'"], "advisory lock"),
    ],
)
async def test_what_stays_behind_is_found(postgres_server: Server, texts: list[str], reason: str) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as client:
        for text in texts:
            frames = await client.query(text)
            assert not [each for each in frames if each.type == BackendType.ErrorResponse], frames
        await client.query("SELECT 1")  # which waits for the answer about what stayed behind
        assert rig.pins == [reason]


async def test_a_setting_that_is_made_through_its_view_is_carried_over(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("UPDATE pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'")
        assert await two.value("SELECT current_setting('timezone')") != "Asia/Tokyo"
        assert await one.value("SELECT current_setting('timezone')") == "Asia/Tokyo"


async def _prepare(client: RawSession, text: str) -> None:
    client.send(m.Parse(b"s", text.encode()), m.Sync())
    await client.until_ready()


async def _run(client: RawSession) -> bytes:
    client.send(m.Bind(b"", b"s", (), (), ()), m.Execute(b""), m.Sync())
    (row,) = [frame for frame in await client.until_ready() if frame.type == BackendType.DataRow]
    return row.raw[11:]


@pytest.mark.parametrize(
    ("settings", "text", "values"),
    [
        (["SET timezone = 'Asia/Tokyo'"], "SELECT '2020-01-01'::timestamptz = '2020-01-01 00:00+09'", (b"t", b"f")),
        (["SET datestyle = 'DMY'"], "SELECT extract(month FROM '01/02/2020'::date)", (b"2", b"1")),
        (["SET standard_conforming_strings = off"], r"SELECT length('\\')", (b"1", b"2")),
        (["SET client_encoding = 'LATIN1'"], "SELECT length('\u00e4')", (b"2", b"1")),
    ],
)
async def test_constants_of_a_statement_are_read_under_the_settings_of_its_session(
    postgres_server: Server, settings: list[str], text: str, values: tuple[bytes, bytes]
) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await two.query("SET timezone = 'UTC'")
        for setting in settings:
            await one.query(setting)
        for client, value in zip((one, two), values, strict=True):
            await client.query("BEGIN")  # what restores the settings is answered before the Parse comes
            await _prepare(client, text)
            assert await _run(client) == value
            await client.query("COMMIT")
        for client, value in zip((one, two), values, strict=True):
            assert await _run(client) == value


async def test_now_is_the_moment_of_the_own_parse(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await _prepare(one, "SELECT 'now'::timestamptz")
        first = await _run(one)
        await _prepare(two, "SELECT 'now'::timestamptz")
        assert await _run(two) > first
        assert await _run(one) == first


async def test_what_holds_for_a_transaction_only_is_not_carried_over(postgres_server: Server) -> None:
    """The catalogue lists it as a parameter of the session once it was set outside of a transaction."""
    level = "ISOLATION LEVEL REPEATABLE READ"
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await two.query("SET search_path = one")
        await two.query(f"SET TRANSACTION {level}")
        await one.query(f"SET SESSION CHARACTERISTICS AS TRANSACTION {level}")
        await two.query("SET search_path = one")
        await one.query("SET search_path = one")
        for _ in range(2):
            assert await two.value("SHOW transaction_isolation") == "read committed"
            assert await one.value("SHOW transaction_isolation") == "repeatable read"
