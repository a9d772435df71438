"""Programs that people use, through the pool."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pool.rig import HOST, LIMIT_S, pool_on, session
from tests.server_process import require_program
from tests.system import program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server_process import Server

pytestmark = [pytest.mark.needs("postgres", "psql"), pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

HERE = Path(__file__).parent


def _tool(name: str) -> Path:
    return Path(require_program("postgres")).resolve().with_name(name)


def _at(port: int) -> tuple[str, ...]:
    return "-h", HOST, "-p", str(port), "-U", "postgres"


async def _run(*words: object, sent: bytes = b"", **environment: str) -> str:
    """Return what a program writes; fail when it fails."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **environment} if environment else None,
    )
    async with asyncio.timeout(100):
        output, errors = await process.communicate(sent)
    assert process.returncode == 0, (words, output[-2000:], errors[-2000:])
    return output.decode()


async def test_psql_copies_in_both_directions(postgres_server: Server, tmp_path: Path) -> None:
    rows = "".join(f"{number}\ttext {number}\n" for number in range(5000))
    (tmp_path / "in").write_text(rows)
    script = f"""
        CREATE TABLE copied (n int, t text);
        \\copy copied FROM '{tmp_path}/in'
        \\copy (SELECT * FROM copied ORDER BY n) TO '{tmp_path}/out'
        \\copy copied FROM '/does/not/exist'
        SELECT count(*) FROM copied \\gset counted_
        \\echo :counted_count
        DROP TABLE copied;"""
    async with pool_on(postgres_server.port, size=1) as rig:
        said = await _run(program("psql"), *_at(rig.port), "-qXAt", sent=script.encode())
        assert said == "5000\n"
        assert (tmp_path / "out").read_text() == rows
        assert not rig.pins


@asynccontextmanager
async def _psql(port: int, script: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(program("psql"), *_at(port), "-qXAt", "-f", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(script.encode())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_psql_watches_while_others_use_the_connection(postgres_server: Server) -> None:
    async with (
        pool_on(postgres_server.port, size=1) as rig,
        session(rig.port) as other,
        _psql(rig.port, "SELECT 'seen' \\watch 0.1\n") as psql,
    ):
        assert psql.stdout is not None
        for _ in range(5):
            async with asyncio.timeout(LIMIT_S):
                while b"seen" not in await psql.stdout.readline():
                    pass
            assert await other.value("SELECT 'mine'") == "mine"


async def test_psql_cancels_with_control_c(postgres_server: Server) -> None:
    async with (
        pool_on(postgres_server.port, size=2) as rig,
        session(postgres_server.port) as outside,
        _psql(rig.port, "SELECT pg_sleep(600);\n") as psql,
    ):
        assert psql.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            while (
                await outside.value("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600);'")
                != "1"
            ):
                pass
            psql.send_signal(signal.SIGINT)
            _, errors = await psql.communicate()
        assert b"canceling statement due to user request" in errors
        async with asyncio.timeout(LIMIT_S):
            while rig.in_use():
                await asyncio.sleep(0.01)


SOURCE = """
CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE TABLE app.person (id serial PRIMARY KEY, name text NOT NULL, mood app.mood DEFAULT 'good', data jsonb);
INSERT INTO app.person (name, data) SELECT 'person ' || n, jsonb_build_object('n', n) FROM generate_series(1, 1000) n;
CREATE VIEW app.good AS SELECT * FROM app.person WHERE mood = 'good';
CREATE FUNCTION app.doubled(n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT n * 2$$;
CREATE INDEX ON app.person USING gin (data);
SELECT lo_from_bytea(4711, 'a large object');
"""


async def test_pg_dump_and_restore(postgres_server: Server) -> None:
    async with session(postgres_server.port) as admin:
        for name in ("dumped", "restored"):
            await admin.query(f"DROP DATABASE IF EXISTS {name}")
            await admin.query(f"CREATE DATABASE {name}")
    async with session(postgres_server.port, "dumped") as owner:
        frames = await owner.query(SOURCE)
        assert not [frame for frame in frames if frame.raw[:1] == b"E"]
    dump, psql, direct = _tool("pg_dump"), program("psql"), _at(postgres_server.port)
    wanted = _comparable(await _run(dump, *direct, "dumped"))
    async with pool_on(postgres_server.port, size=3, database="dumped") as rig:
        found = await _run(dump, *_at(rig.port), "dumped")
        assert _comparable(found) == wanted
        inserts = await _run(dump, *_at(rig.port), "--inserts", "--serializable-deferrable", "dumped")
        assert inserts.count("INSERT INTO app.person") == 1000
    async with pool_on(postgres_server.port, size=3, database="restored") as rig:
        await _run(psql, *_at(rig.port), "-qX", "-v", "ON_ERROR_STOP=1", "restored", sent=found.encode())
    assert _comparable(await _run(dump, *direct, "restored")) == wanted


def _comparable(dump: str) -> list[str]:
    """Return a dump without what newer versions put in that is different each time."""
    return [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


CUSTOM = r"""
\set id random(1, 1000)
BEGIN;
SET LOCAL statement_timeout = '30s';
SELECT pg_advisory_xact_lock(:id % 10);
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :id;
COMMIT;
CREATE TEMP TABLE mine (n int);
INSERT INTO mine VALUES (:id);
SELECT n FROM mine;
DROP TABLE mine;
SELECT pg_advisory_lock(:id % 10 + 100);
SELECT pg_advisory_unlock(:id % 10 + 100);
"""


async def test_pgbench_in_all_modes(postgres_server: Server, tmp_path: Path) -> None:
    bench = _tool("pgbench")
    (tmp_path / "custom.sql").write_text(CUSTOM)
    # In prepared mode pgbench waits for each of its clients in turn, also while the others are in a transaction.
    async with pool_on(postgres_server.port, size=8) as rig, session(postgres_server.port) as outside:
        at = (bench, *_at(rig.port), "-n", "-c", "8", "postgres")
        await _run(bench, *_at(rig.port), "-i", "-q", "-s", "1", "postgres")
        for mode in ("simple", "extended", "prepared"):
            assert "number of failed transactions: 0" in await _run(*at, "-M", mode, "-t", "50")
        assert "number of failed transactions: 0" in await _run(*at, "-f", tmp_path / "custom.sql", "-t", "20")
        moved = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT sum(delta) FROM pgbench_history)"
        assert await outside.value(moved) == "160"
        assert set(rig.pins) <= {"temporary object", "advisory lock"}
        assert not rig.in_use()


@pytest.mark.needs("node", "npm")
@pytest.mark.parametrize("name", ["pg", "postgres"])
async def test_drivers_of_node(postgres_server: Server, node_packages: Path, name: str) -> None:
    wanted = ",".join(str(number * 2) for number in range(50))
    async with pool_on(postgres_server.port, size=3) as rig:
        script = HERE / f"node_{name}.js"
        said = json.loads(await _run(program("node"), script, rig.port, NODE_PATH=str(node_packages)))
    assert said.pop("named" if name == "pg" else "pipelined") == wanted
    assert said.pop("heard") == "hello"
    assert said.pop("error") == "22012"
    rest = {"rows": 1} if name == "pg" else {"rows": 4, "cancelled": "57014", "unprepared": "x"}
    assert said == rest
