"""What few clients use: two-phase commit, long cancel keys, large objects, parameters with names of one's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg2  # type: ignore[import-untyped]
import pytest

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import PROTOCOL_3_2, BackendType
from tests.pool.rig import pool_on, session

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


def _connect(port: int) -> Any:
    return psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", sslmode="disable")


def _prepare_and_finish(port: int) -> list[object]:
    """Prepare two transactions in one session; end one of them there, and the other one in another session."""
    one, two = _connect(port), _connect(port)
    ids = [one.xid(1, name, "branch") for name in ("kept", "dropped")]
    for value, xid in enumerate(ids):
        one.tpc_begin(xid)
        one.cursor().execute("INSERT INTO in_two_phases VALUES (%s)", (value,))
        one.tpc_prepare()
        one.reset()
    waiting = {each.gtrid for each in two.tpc_recover() if each.bqual == "branch"}
    two.rollback()
    one.tpc_rollback(ids[1])
    two.tpc_commit(ids[0])
    with one.cursor() as cursor:
        cursor.execute("SELECT n FROM in_two_phases")
        rows = cursor.fetchall()
    one.close()
    two.close()
    return [waiting, rows]


async def test_two_phases_in_two_sessions(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as maker:
        await maker.query("DROP TABLE IF EXISTS in_two_phases; CREATE TABLE in_two_phases (n int)")
        assert await asyncio.to_thread(_prepare_and_finish, rig.port) == [{"kept", "dropped"}, [(0,)]]
        assert rig.pins == []


async def test_settings_of_a_prepared_transaction_stay_with_its_session(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("BEGIN")
        await one.query("SET timezone = 'Asia/Tokyo'")
        await one.query("PREPARE TRANSACTION 'with settings'")
        assert await two.value("SELECT current_setting('timezone')") != "Asia/Tokyo"
        assert await one.value("SELECT current_setting('timezone')") == "Asia/Tokyo"
        await two.query("ROLLBACK PREPARED 'with settings'")
        assert await one.value("SELECT current_setting('timezone')") == "Asia/Tokyo"


async def test_a_long_key_cancels_and_a_part_of_it_does_not(postgres_server: Server) -> None:
    async with (
        pool_on(postgres_server.port, size=1) as rig,
        session(rig.port, version=PROTOCOL_3_2) as client,
    ):
        key = client.key
        assert len(key.secret_key) == 32
        client.send(m.Query(b"SELECT pg_sleep(60)"))
        answer = asyncio.ensure_future(client.until_ready())
        client.key = m.BackendKeyData(key.process_id, key.secret_key[:4])
        await client.cancel()
        client.key = m.BackendKeyData(key.process_id, key.secret_key[:-1] + b"\0\0")
        await client.cancel()
        assert not answer.done()
        client.key = key
        while not answer.done():
            await client.cancel()
            await asyncio.wait([answer], timeout=0.01)
        assert [b"C57014" in frame.raw for frame in await answer if frame.type == BackendType.ErrorResponse] == [True]


def _use_large_object(port: int) -> tuple[bytes, bytes]:
    """Write a large object in one session and read it in another; libpq does that with FunctionCall."""
    one, two = _connect(port), _connect(port)
    written = one.lobject(0, "wb")
    written.write(b"large" * 50_000)
    two.rollback()
    one.commit()
    read = two.lobject(written.oid, "rb")
    read.seek(249_990)
    end = read.read()
    read.close()
    two.commit()
    changed = one.lobject(written.oid, "rwb")
    changed.truncate(5)
    one.commit()
    found = two.lobject(written.oid, "rb").read()
    two.rollback()
    one.lobject(written.oid, "n").unlink()
    one.commit()
    one.close()
    two.close()
    return end, found


async def test_large_objects_by_function_calls(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig:
        assert await asyncio.to_thread(_use_large_object, rig.port) == (b"largelarge", b"large")
        assert rig.pins == []


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("SET My.Own = 'x'", "my.own"),
        ("SET \"My.Own\" = 'x'", "MY.OWN"),
        ("SET a.b.c = 'x'", "a.b.c"),
        ("SET my.m\u00fcde = 'x'", "my.m\u00fcde"),
        ("SET my.cost$ = 'x'", "my.cost$"),
        ("SET SESSION my.own TO 'x'", "my.own"),
        ("SELECT set_config('My.Other', 'x', false)", "my.other"),
        ("BEGIN; SAVEPOINT s; SET my.own = 'x'; RELEASE s; COMMIT", "my.own"),
    ],
)
async def test_parameters_with_names_of_ones_own(postgres_server: Server, said: str, name: str) -> None:
    asked = f"SELECT coalesce(current_setting('{name}', true), '')"
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one, session(rig.port) as two:
        frames = await one.query(said)
        assert not [each for each in frames if each.type == BackendType.ErrorResponse], frames
        assert (await two.value(asked), await one.value(asked)) == ("", "x")
        await one.query(f"RESET {name}")
        assert (await two.value(asked), await one.value(asked)) == ("", "")


async def test_an_error_reaches_a_client_that_is_still_writing(postgres_server: Server) -> None:
    """It writes until it has read the error: what the server says must not wait for the end of that."""
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as client:
        client.send(m.Parse(b"s", b"SELECT 1 / length($1::text)", (25,)), m.Sync())
        await client.until_ready()
        client.send(m.Bind(b"", b"s", (), (b"",), ()), m.Execute(b""))
        answer = asyncio.ensure_future(_error(client))
        while not answer.done():
            client.send(m.Bind(b"", b"s", (), (b"x" * 32_768,), ()), m.Execute(b""))
            await client.drain()
            await asyncio.sleep(0)
        assert b"C22012" in await answer
        client.send(m.Sync())
        await client.until_ready()
        assert await client.value("SELECT 'well'") == "well"


async def _error(client: RawSession) -> bytes:
    while (frame := await client.frame()).type != BackendType.ErrorResponse:
        pass
    return frame.raw
