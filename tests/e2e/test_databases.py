"""``[[hyperdrive]]`` of PostgreSQL in real hosts: unmodified drivers, in a jail and without one, through the pool."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.cli.launched import LIMIT_S, launched
from tests.e2e.test_audit import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.launched import Launched
    from tests.server_process import Server

pytestmark = pytest.mark.timeout(120)

PASSWORD = "of-the-database-itself"

ENTRY = '''
import asyncio
import os

from workers import Response, WorkerEntrypoint

SQL = "select 40 + 2, current_user::text, current_setting('application_name')"


async def with_asyncpg(db):
    import asyncpg

    connection = await asyncpg.connect(db.connection_string)
    try:
        return list(await connection.fetchrow(SQL + " where $1 = 1", 1))
    finally:
        await connection.close()


async def with_psycopg(db):
    import psycopg

    async with await psycopg.AsyncConnection.connect(db.connection_string) as connection:
        return list(await (await connection.execute(SQL + " where %s = 1", (1,))).fetchone())


async def with_sync_psycopg(db):
    import psycopg

    def work():
        with psycopg.connect(db.connection_string) as connection:
            return list(connection.execute(SQL + " where %s = 1", (1,)).fetchone())

    return await asyncio.to_thread(work)


async def with_psycopg2(db):
    import psycopg2

    def work():
        connection = psycopg2.connect(db.connection_string)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(SQL)
                return list(cursor.fetchone())
        finally:
            connection.close()

    return await asyncio.to_thread(work)


async def with_pg8000(db):
    import pg8000.native

    def work():
        connection = pg8000.native.Connection(
            db.user, host=db.host, port=db.port, password=db.password, database=db.database, application_name="shop"
        )
        try:
            return list(connection.run(SQL)[0])
        finally:
            connection.close()

    return await asyncio.to_thread(work)


async def with_sqlalchemy(db):
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    url = f"postgresql+asyncpg://{db.user}:{db.password}@{db.host}:{db.port}/{db.database}"
    engine = create_async_engine(url, connect_args={"server_settings": {"application_name": "shop"}})
    try:
        async with engine.connect() as connection:
            return list((await connection.execute(text(SQL))).one())
    finally:
        await engine.dispose()


async def with_connect(db):
    """Speak the protocol."""
    async with db.connect() as peer:
        writer = peer.writable.get_writer()
        start = b"user\\0" + db.user.encode() + b"\\0database\\0" + db.database.encode() + b"\\0\\0"
        await writer.write((len(start) + 8).to_bytes(4, "big") + b"\\0\\3\\0\\0" + start)
        reader = peer.readable.get_reader()
        kind = (await reader.read())[:1]
        answer = db.password.encode() + b"\\0"
        await writer.write(b"p" + (len(answer) + 4).to_bytes(4, "big") + answer)
        said = bytes(await reader.read())
        return [kind.decode(), said[:1].decode()]


SHIFTED = bytes((byte + 13) % 256 for byte in range(256))


def found_in_memory(shifted):
    """Return where something is in this process; it is said with 13 added to each byte, so as not to find itself."""
    found = []
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.read().splitlines():
            place, access = line.split()[:2]
            if "r" not in access or "[v" in line:
                continue
            begin, end = (int(each, 16) for each in place.split("-"))
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, ValueError, OverflowError):
                continue
            if shifted in data.translate(SHIFTED):
                found.append(line)
    return found


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        db = self.env.DB
        path = request.path.strip("/")
        try:
            match path:
                case "facts":
                    facts = [db.host, db.port, db.user, db.password, db.database, db.connection_string]
                    same = [db.connectionString, db.getHyperdriveConnectionString()]
                    return Response.json([*facts, same == [db.connection_string] * 2])
                case "environment":
                    return Response.json(dict(os.environ))
                case "memory":
                    return Response.json(found_in_memory(bytes.fromhex(await request.text())))
                case "pid":
                    return Response.json(os.getpid())
                case "tenant":
                    url = await request.text()
                    db = db.get({"connectionString": url, "maxConnections": 2, "cachingEnabled": False})
                    return Response.json([*await with_asyncpg(db), db.user])
                case "wrong":
                    import asyncpg

                    connection = await asyncpg.connect(
                        host=db.host, port=db.port, user=db.user, password="x" * 43, database=db.database, ssl=False
                    )
                    return Response("in")
                case _:
                    return Response.json(await globals()["with_" + path](db))
        except Exception as exc:
            said = [type(exc).__name__, str(exc), getattr(exc, "sqlstate", None), getattr(exc, "hint", None)]
            return Response.json(said, status=500)
'''

DRIVERS = ["asyncpg", "psycopg", "sync_psycopg", "psycopg2", "pg8000", "sqlalchemy"]
ISOLATIONS = [
    pytest.param("required", marks=pytest.mark.skipif(sys.platform != "linux", reason="jails are of Linux")),
    "off",
]


def shifted(text: str) -> str:
    """Return what the worker is asked to look for, so that asking does not put it there."""
    return bytes((byte + 13) % 256 for byte in text.encode()).hex()


class Shop:
    """A host, and the way to its worker."""

    def __init__(self, running: Launched, client: httpx.Client, folder: Path) -> None:
        self.running = running
        self.client = client
        self.folder = folder

    def get(self, path: str, content: str = "") -> Any:
        """Return what the worker answers."""
        response = self.client.post(f"/{path}", content=content)
        assert response.status_code == 200, response.text
        return response.json()

    def failure(self, path: str, content: str = "") -> list[str]:
        """Return what the worker's driver raised."""
        response = self.client.post(f"/{path}", content=content)
        assert response.status_code == 500, response.text
        found: list[str] = response.json()
        return found

    def process(self, module: str) -> psutil.Process:
        """Return the process of the host that runs a module."""
        children = psutil.Process(self.running.process.pid).children()
        (found,) = [each for each in children if module in each.cmdline()]
        return found

    def pool(self) -> psutil.Process:
        """Return the pool process."""
        return self.process("longshore.pool")


@contextmanager
def shop(folder: Path, server: Server, isolation: str, *, extra: str = "", code: int = 0) -> Iterator[Shop]:
    """Run ``longshore serve``."""
    folder.mkdir()
    (folder / "entry.py").write_text(ENTRY)
    (folder / "longshore.toml").write_text(
        f'name = "shop"\nmain = "entry.py"\n[serve]\naudit_log = "{folder.parent}/audit.jsonl"\n{extra}'
        '[[hyperdrive]]\nbinding = "DB"\norigin_connection_limit = 3\n'
    )
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{server.port}/postgres?application_name=shop&connect_timeout=9"
    with (
        launched("serve", "--port", "0", "--isolation", isolation, cwd=folder, LONGSHORE_HYPERDRIVE_DB=url) as running,
        httpx.Client(timeout=LIMIT_S, base_url=running.wait_for(r"ready on (\S+)")[1]) as client,
    ):
        yield Shop(running, client, folder)
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == code


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_every_driver_gets_in_and_nobody_sees_the_password(
    tmp_path: Path, postgres_server: Server, isolation: str
) -> None:
    with shop(tmp_path / "shop", postgres_server, isolation) as it:
        for driver in DRIVERS:
            assert it.get(driver) == [42, "postgres", "shop"], driver
        assert it.get("connect") == ["R", "R"]
        host, port, user, token, database, url, is_same = it.get("facts")
        assert (user, database, is_same) == ("postgres", "postgres", True)
        assert (
            (host, port) == ("db.binding.longshore.internal", 5432) if isolation == "required" else ("127.0.0.1", port)
        )
        assert url == f"postgresql://postgres:{token}@{host}:{port}/postgres?sslmode=disable&application_name=shop"
        assert len(token) == 43
        assert PASSWORD not in json.dumps(it.get("environment"))
        if sys.platform == "linux":
            assert it.get("memory", shifted(token)), "what is in the worker's memory would not be found"
            assert it.get("memory", shifted(PASSWORD)) == []
        assert it.failure("wrong")[2] == "28P01"
    opened = [each for each in records(tmp_path / "audit.jsonl") if each["event"] == "open"]
    assert {(each["via"], each["binding"], each["name"], each["worker_id"]) for each in opened} == {
        ("pool", "DB", "127.0.0.1", 0)
    }
    assert len(opened) <= 3, "the pool opens no more than origin_connection_limit"


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_database_that_the_worker_names_is_reached_by_its_own_rules(
    tmp_path: Path, postgres_server: Server, isolation: str
) -> None:
    url = f"postgresql://postgres:x@127.0.0.1:{postgres_server.port}/template1?application_name=shop"
    with shop(tmp_path / "closed", postgres_server, isolation) as it:
        kind, said, sqlstate, hint = it.failure("tenant", url)
        assert (kind, sqlstate) == ("ClientCannotConnectError", "08001")
        assert "blocked by policy: the rules of the worker do not let it connect there" in said
        assert hint
    denied = [each for each in records(tmp_path / "audit.jsonl") if each["event"] == "deny"]
    assert {(each["via"], each["binding"], each["worker_id"]) for each in denied} == {("pool", "DB", 1)}
    extra = f'[network]\nallow = ["127.0.0.1:{postgres_server.port}"]\n'
    with shop(tmp_path / "open", postgres_server, isolation, extra=extra) as it:
        *row, first = it.get("tenant", url)
        assert row == [42, "postgres", "shop"]
        *_, again = it.get("tenant", url)
        *_, other = it.get("tenant", url.replace("template1", "postgres"))
        assert first == again != other
        assert it.failure("tenant", url.replace("template1", "none"))[2] == "3D000"


def test_workers_outlive_the_pool(tmp_path: Path, postgres_server: Server) -> None:
    with shop(tmp_path / "shop", postgres_server, "off") as it:
        worker, before = it.get("pid"), it.pool()
        assert it.get("asyncpg") == [42, "postgres", "shop"]
        os.kill(before.pid, signal.SIGKILL)
        it.running.wait_for("the process that keeps connections to databases ended")
        assert it.get("asyncpg") == [42, "postgres", "shop"], "the connection waits for the new pool"
        assert it.pool().pid != before.pid
        assert it.get("pid") == worker


def test_another_egress_process_is_joined_to_the_pool(tmp_path: Path, postgres_server: Server) -> None:
    with shop(tmp_path / "shop", postgres_server, "off") as it:
        assert it.get("asyncpg") == [42, "postgres", "shop"]
        pool = it.pool()
        it.process("longshore.egress").kill()
        it.running.wait_for("the process that makes connections ended")
        it.running.wait_for("worker 2.* ready after")
        assert it.get("connect") == ["R", "R"], "the new one leads to the pool"
        assert it.get("asyncpg") == [42, "postgres", "shop"]
        assert it.pool().pid == pool.pid


def test_nothing_is_left_when_the_host_is_killed(tmp_path: Path, postgres_server: Server) -> None:
    with shop(tmp_path / "shop", postgres_server, "off", code=-signal.SIGKILL) as it:
        assert it.get("asyncpg") == [42, "postgres", "shop"]
        pool = it.pool()
        it.running.process.kill()
        pool.wait(LIMIT_S)


def test_a_worker_that_needs_no_pool_has_none(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text("async def on_fetch(request, env):\n    return Response('x')\n")
    (tmp_path / "longshore.toml").write_text(
        'name = "shop"\nmain = "entry.py"\n[[hyperdrive]]\nbinding = "DB"\nconnection_string = "mysql://u:p@127.0.0.1/d"\n'
    )
    with launched("serve", "--port", "0", "--isolation", "off", cwd=tmp_path) as running:
        running.wait_for(r"ready on (\S+)")
        children = psutil.Process(running.process.pid).children(recursive=True)
        assert [each for each in children if "longshore.pool" in each.cmdline()] == []
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0


def test_check_says_whether_the_database_answers(tmp_path: Path, postgres_server: Server) -> None:
    (tmp_path / "entry.py").write_text("")
    place = f"127.0.0.1:{postgres_server.port}"
    (tmp_path / "longshore.toml").write_text(
        'name = "shop"\nmain = "entry.py"\n'
        f'[[hyperdrive]]\nbinding = "GOOD"\nconnection_string = "postgres://postgres:{PASSWORD}@{place}/postgres"\n'
        f'[[hyperdrive]]\nbinding = "NONE"\nconnection_string = "postgres://postgres:{PASSWORD}@{place}/none"\n'
        f'[[hyperdrive]]\nbinding = "OLD"\nconnection_string = "mysql://postgres:{PASSWORD}@{place}/none"\n'
    )
    command = [sys.executable, "-m", "longshore", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("✓ env", "! env"))]
    assert f"✓ env.GOOD: connected to {place} as postgres: PostgreSQL " in lines[0]
    assert "TLSv1.3" in lines[0]
    assert lines[1].startswith("! env.NONE: ")
    assert 'database "none" does not exist' in lines[1]
    assert "MySQL has no pool yet" in lines[2]
    assert PASSWORD not in done.stdout + done.stderr
    assert done.returncode == 0
