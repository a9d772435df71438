"""Unmodified clients of PostgreSQL as clients of the admin database."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import asyncpg
import pg8000.dbapi
import psycopg
import psycopg2  # type: ignore[import-untyped]  # it has no types
import pytest

from tests.pool.admin.rig import ADMIN, HOST, admin_on, asking, tool, until
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.pool.admin.rig import AdminRig
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def _psql(rig: AdminRig, *commands: str, database: str = "longshore") -> tuple[int, str, str]:
    words = [word for command in commands for word in ("-c", command)]
    return await tool("psql", "-XAt", rig.url(database, ADMIN), *words)


@pytest.mark.parametrize("database", ["longshore", "pgbouncer"])
async def test_psql_shows_and_is_told_what_is_wrong(postgres_server: Server, database: str) -> None:
    async with admin_on(postgres_server.port) as rig:
        code, out, err = await _psql(rig, "SHOW VERSION", "SHOW LISTS", "SELECT 1", "nonsense", database=database)
    assert code == 1
    assert out.startswith("Longshore 1.2.3\ndatabases|2\n")
    assert "HINT:  SHOW HELP lists the commands" in err


async def test_ctrl_c_in_psql_takes_a_pause_back(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, session(rig.port, database="app") as one:
        await one.query("BEGIN")
        psql = await asyncio.create_subprocess_exec(
            "psql", "-X", rig.url("longshore", ADMIN), "-c", "PAUSE app", stderr=asyncio.subprocess.PIPE
        )
        await until(admin, "SHOW DATABASES", "paused", "1")
        psql.send_signal(signal.SIGINT)
        _, err = await psql.communicate()
        assert b"canceling statement" in err
        assert all(row["paused"] == "0" for row in await admin.ask("SHOW DATABASES"))


async def test_asyncpg_gets_rows_with_their_types(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig:
        connection = await asyncpg.connect(rig.url("longshore", ADMIN), ssl=False)
        try:
            rows = await connection.fetch("SHOW DATABASES")
            assert [(row["name"], row["pool_size"], row["port"]) for row in rows] == [
                ("app", 2, postgres_server.port),
                ("other", 2, postgres_server.port),
            ]
            assert await connection.fetchval("SELECT 1") == 1
            async with connection.transaction():
                assert await connection.execute("PAUSE app") == "PAUSE"
            with pytest.raises(asyncpg.exceptions.PostgresSyntaxError, match="does not understand"):
                await connection.fetch("SELECT * FROM pg_type")
            await connection.reset()
        finally:
            await connection.close()


async def test_psycopg_in_its_default_mode(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig:
        connection = await psycopg.AsyncConnection.connect(rig.url("longshore", ADMIN), sslmode="disable")
        async with connection, connection.cursor(binary=True) as cursor:
            await cursor.execute("SHOW POOLS")
            assert cursor.description is not None
            assert [column.name for column in cursor.description][:3] == ["database", "user", "cl_active"]
            await cursor.execute("SHOW MEM")
            assert (await cursor.fetchall())[0][0] == "process"
            with pytest.raises(psycopg.errors.SyntaxError):
                await cursor.execute("nonsense")
            await connection.rollback()
            await cursor.execute("SHOW VERSION")
            assert await cursor.fetchone() == ("Longshore 1.2.3",)


async def test_psycopg2_and_pg8000(postgres_server: Server) -> None:
    def with_psycopg2(url: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SHOW STATS")
                cursor.execute("SHOW USERS")
                return list(cursor.fetchall())
        finally:
            connection.close()

    def with_pg8000(port: int) -> list[tuple[object, ...]]:
        connection = pg8000.dbapi.connect(user=ADMIN, host=HOST, port=port, database="longshore", ssl_context=False)
        try:
            cursor = connection.cursor()
            cursor.execute("SHOW USERS")
            rows = [tuple(row) for row in cursor.fetchall()]
            connection.commit()
            return rows
        finally:
            connection.close()

    async with admin_on(postgres_server.port) as rig:
        rows = [("ann", None), ("sam", None)]
        assert await asyncio.to_thread(with_psycopg2, rig.url("longshore", ADMIN)) == rows
        assert await asyncio.to_thread(with_pg8000, rig.port) == rows
