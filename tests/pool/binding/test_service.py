"""Databases of workers, and who may use them: a real PostgreSQL, real drivers."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from longshore.pool.binding.service import BindingService
from longshore.pool.servers.dialing import DIRECT
from longshore.proto.ipc.pool import AddDatabases, DefineDatabase, PooledDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.pool.pool import Pool
    from tests.server_process import Server


class Dialer:
    """Connects to where it is asked to, and remembers on whose behalf."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, str, bool]] = []

    async def dial(self, worker_id: int, binding: str, address: str, *, is_declared: bool) -> socket.socket:
        self.asked.append((worker_id, binding, address, is_declared))
        host, _, port = address.rpartition(":")
        return await DIRECT.dial(host, int(port))


class Rig:
    """A service, and the workers that use it."""

    def __init__(self, server: Server) -> None:
        self.dialer = Dialer()
        self.service = BindingService(self.dialer)
        self.port = server.port
        self.ports: dict[int, int] = {}

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}:x@127.0.0.1:{self.port}/{database}"

    def add(self, worker_id: int, *, worker: str = "shop", rules: str = "", url: str = "", **fields: object) -> None:
        fields = {"is_cached": False, **fields}
        database = PooledDatabase(binding="DB", connection_string=url or self.url(), **fields)  # type: ignore[arg-type]
        listener = socket.create_server(("127.0.0.1", 0))
        self.ports[worker_id] = listener.getsockname()[1]
        token = f"token-{worker_id}"
        said = AddDatabases(worker_id=worker_id, worker=worker, token=token, rules=rules, databases=(database,))
        self.service.add(said, [listener])

    async def connect(self, worker_id: int, **options: object) -> asyncpg.Connection:
        given = {"user": "postgres", "password": f"token-{worker_id}", "database": "postgres", "ssl": False, **options}
        return await asyncpg.connect(host="127.0.0.1", port=self.ports[worker_id], **given)

    def define(self, worker_id: int, handle: str, url: str) -> None:
        self.service.define(
            worker_id, DefineDatabase(binding="DB", handle=handle, connection_string=url, max_connections=1)
        )


@asynccontextmanager
async def rig(server: Server) -> AsyncIterator[Rig]:
    made = Rig(server)
    try:
        yield made
    finally:
        await made.service.aclose()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_processes_of_workers_share_what_is_the_same(postgres_server: Server) -> None:
    async with rig(postgres_server) as it:
        it.add(1, origin_connection_limit=1)
        it.add(2, origin_connection_limit=1)
        it.add(3, worker="other", origin_connection_limit=1)
        it.add(4, origin_connection_limit=1, mode="session")
        for worker_id in (1, 2, 3):
            connection = await it.connect(worker_id)
            assert await connection.fetchval("select 1") == 1
            await connection.close()
        assert [asked[3] for asked in it.dialer.asked] == [True]
        connection = await it.connect(4)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        assert len(it.dialer.asked) == 2, "another mode is another pool"
        assert len(list(it.service.pools())) == 2


@pytest.mark.parametrize(
    ("options", "sqlstate"),
    [
        ({"password": "token-2"}, "28P01"),
        ({"password": ""}, None),
        ({"password": "x"}, "28P01"),
        ({"user": "somebody"}, "28000"),
        ({"database": "template1"}, "3D000"),
        ({"user": "longshore_0123456789abcdef"}, "28000"),
    ],
)
async def test_who_is_not_let_in(postgres_server: Server, options: dict[str, str], sqlstate: str | None) -> None:
    async with rig(postgres_server) as it:
        it.add(1)
        it.add(2)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)) as caught:
            await asyncio.wait_for(it.connect(1, **options), 10)
        if sqlstate is not None:
            assert getattr(caught.value, "sqlstate", None) == sqlstate
        assert it.dialer.asked == [], "nothing was opened for it"


async def test_a_cancel_reaches_nobody_elses_session(postgres_server: Server) -> None:
    """The key of a session is of no use at the door of another worker, even if it is known."""
    async with rig(postgres_server) as it:
        it.add(1)
        it.add(2)
        connection = await it.connect(1)
        pid, key = connection._protocol.backend_pid, connection._protocol.backend_secret
        sleeping = asyncio.create_task(connection.fetchval("select 'woke' from pg_sleep(0.5)"))
        request = struct.pack("!iiii", 16, 80877102, pid, key)
        for worker_id, is_heard in ((2, False), (1, True)):
            await connection_gone(it.ports[worker_id], request)
            if not is_heard:
                assert await sleeping == "woke"
                sleeping = asyncio.create_task(connection.fetchval("select pg_sleep(30)"))
                await started(it)
        with pytest.raises(asyncpg.QueryCanceledError):
            await sleeping
        await connection.close()


async def connection_gone(port: int, said: bytes) -> None:
    """Say something, and wait for the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def started(it: Rig) -> None:
    """Wait until the server sleeps."""
    watcher = await asyncpg.connect(it.url())
    while not await watcher.fetchval("select count(*) from pg_stat_activity where query = 'select pg_sleep(30)'"):
        await asyncio.sleep(0.01)
    await watcher.close()


async def test_what_a_worker_names_is_of_that_worker_and_its_rules(postgres_server: Server) -> None:
    handle = "longshore_0123456789abcdef"
    async with rig(postgres_server) as it:
        it.add(1, rules="a")
        it.add(2, rules="a")
        it.add(3, rules="b")
        for worker_id in (1, 2, 3):
            it.define(worker_id, handle, it.url("template1"))
            connection = await it.connect(worker_id, user=handle, database="template1")
            assert await connection.fetchval("select current_database() || current_user") == "template1postgres"
            await connection.close()
        assert [(asked[0], asked[3]) for asked in it.dialer.asked] == [(1, False), (3, False)]
        it.define(1, handle, "postgres://u:p@h/d?sslmode=odd")
        with pytest.raises(asyncpg.PostgresError, match="sslmode='odd'"):
            await it.connect(1, user=handle, database="template1")


async def test_a_client_may_come_before_what_its_name_stands_for(postgres_server: Server) -> None:
    handle = "longshore_0123456789abcdef"
    async with rig(postgres_server) as it:
        it.add(1)
        coming = asyncio.create_task(it.connect(1, user=handle))
        await asyncio.sleep(0.05)
        assert not coming.done()
        it.define(1, handle, it.url())
        connection = await coming
        assert await connection.fetchval("select 1") == 1
        await connection.close()


async def test_the_end_of_a_worker_is_that_of_its_sessions_and_not_of_the_database(postgres_server: Server) -> None:
    async with rig(postgres_server) as it:
        it.add(1)
        it.add(2)
        first, second = await it.connect(1), await it.connect(2)
        assert await first.fetchval("select 1") == await second.fetchval("select 1") == 1
        it.service.remove(1)
        it.service.remove(1)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
            await first.fetchval("select 1")
        assert await second.fetchval("select 2") == 2
        await second.close()
        first.terminate()
        with pytest.raises(OSError):  # noqa: PT011 - refused, or reset
            await it.connect(1)


async def test_a_private_connection_is_let_in_by_the_token_alone(postgres_server: Server) -> None:
    async with rig(postgres_server) as it:
        it.add(1)
        for token, first in ((b"token-1", b"R"), (b"token-2", b"E")):
            mine, its = socket.socketpair()
            it.service.add_client(1, "DB", its)
            reader, writer = await asyncio.open_unix_connection(sock=mine)
            start = b"user\0postgres\0database\0postgres\0\0"
            writer.write(struct.pack("!ii", len(start) + 8, 196608) + start)
            assert await reader.readexactly(9) == b"R\0\0\0\x08\0\0\0\x03"
            writer.write(b"p" + struct.pack("!i", len(token) + 5) + token + b"\0")
            assert await reader.readexactly(1) == first
            writer.close()
            await writer.wait_closed()
        mine, its = socket.socketpair()
        it.service.add_client(9, "DB", its)
        with mine:
            assert mine.recv(1) == b"", "nobody knows that worker"


async def test_results_are_of_one_worker_and_writes_are_for_all(postgres_server: Server) -> None:
    maker = await asyncpg.connect(Rig(postgres_server).url())
    await maker.execute("drop table if exists kept_by_worker; create table kept_by_worker as select 1 as v")
    await maker.close()
    async with rig(postgres_server) as it:
        it.add(1, is_cached=True)
        it.add(2, is_cached=True)
        it.add(3, worker="other", is_cached=True)
        shop, again, other = [await it.connect(worker_id) for worker_id in (1, 2, 3)]
        (pool,) = [pool for pools in it.service.pools() for pool in pools.pools()]

        async def read(connection: asyncpg.Connection, reason: str) -> int:
            pool.statistics.cache.clear()
            found = await connection.fetch("select v from kept_by_worker")
            assert +pool.statistics.cache == {reason: 1}
            return int(found[0]["v"])

        await known(pool)
        for connection in (shop, again, other):  # the first time of each session its Parse is part of it
            await connection.fetch("select v from kept_by_worker")
        await shop.execute("update kept_by_worker set v = v")
        assert await read(shop, "miss") == 1
        assert await read(other, "miss") == 1, "what another worker was told is not for it"
        assert await read(again, "hit") == await read(other, "hit") == 1
        await other.execute("update kept_by_worker set v = 2")
        assert await read(again, "miss") == 2
        await again.execute("update kept_by_worker set v = 3")
        assert await read(other, "miss") == 3
        for connection in (shop, again, other):
            await connection.close()


async def known(pool: Pool) -> None:
    """Wait until the catalogue of a database is known."""
    while pool.shared.known_catalogue() is None:
        await asyncio.sleep(0.01)
