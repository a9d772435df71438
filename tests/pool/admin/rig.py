"""A pool with an admin database, in front of the PostgreSQL of the fixtures."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.pool.admin.access import Access
from longshore.pool.admin.client import AdminClient
from longshore.pool.admin.connection import AdminDoor
from longshore.pool.admin.host import ReloadFailed
from longshore.pool.admin.show_process import ConfigItem
from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.model import Database
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target, TlsMode, UpstreamTls
from longshore.pool.slots.model import Rules
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import PROTOCOL_3_0
from longshore.proto.postgres.serialize import serialize_startup
from tests.pool.rig import RawSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from longshore.pool.admin.commands import ShutdownMode
    from longshore.proto.postgres.framing import Frame

__all__ = [
    "ADMIN",
    "HOST",
    "LIMIT_S",
    "STATS",
    "AdminRig",
    "TestHost",
    "admin_on",
    "asking",
    "knocking",
    "tool",
    "until",
    "until_closed",
]

HOST = "127.0.0.1"
LIMIT_S = 30.0
ADMIN, STATS = "ann", "sam"


class TestHost:
    """A process that remembers what it was told."""

    __test__ = False
    version = "1.2.3"

    def __init__(self) -> None:
        self.reloads = 0
        self.shutdowns: list[ShutdownMode] = []
        self.problem = ""

    def reload(self) -> None:
        self.reloads += 1
        if self.problem:
            raise ReloadFailed(self.problem)

    def shutdown(self, mode: ShutdownMode) -> None:
        self.shutdowns.append(mode)

    def config(self) -> Sequence[ConfigItem]:
        return [ConfigItem("max_clients", "5", "10000", is_changeable=True)]

    def users(self) -> Sequence[str]:
        return [ADMIN, STATS]


class AdminRig:
    """What the tests look at."""

    def __init__(self, pools: Pools, host: TestHost, admin: AdminDoor, port: int) -> None:
        self.pools = pools
        self.host = host
        self.admin = admin
        self.port = port

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgres://{user}@{HOST}:{self.port}/{database}"


@asynccontextmanager
async def admin_on(port: int, *, size: int = 2, wait_timeout_s: float = 60.0) -> AsyncIterator[AdminRig]:
    """Run a pool with the databases ``app`` and ``other``, and its admin database."""
    target = Target(host=HOST, port=port, user="postgres", database="postgres")
    rules = Rules(size=size, wait_timeout_s=wait_timeout_s)
    pools = Pools([Database(name=name, target=target, rules=rules) for name in ("app", "other")])
    host = TestHost()
    admin = AdminDoor(pools, host, Access(frozenset({ADMIN}), frozenset({STATS})))
    door = ClientDoor(pools=pools, admin=admin)
    server = await asyncio.get_running_loop().create_server(lambda: ClientStart(door), HOST, 0)
    try:
        async with server:
            yield AdminRig(pools, host, admin, server.sockets[0].getsockname()[1])
    finally:
        await admin.aclose()
        await pools.aclose()
        await asyncio.sleep(0)


@asynccontextmanager
async def asking(rig: AdminRig, user: str = ADMIN) -> AsyncIterator[AdminClient]:
    """Be a client of the admin database."""
    client = await AdminClient.connect(
        Target(host=HOST, port=rig.port, user=user, database="longshore", tls=UpstreamTls(mode=TlsMode.DISABLE))
    )
    try:
        yield client
    finally:
        client.close()
        await asyncio.sleep(0)


async def tool(*arguments: str) -> tuple[int, str, str]:
    """Run a program; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
    except BaseException:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def until(client: AdminClient, command: str, column: str, value: str) -> dict[str, str]:
    """Ask again and again until a row has a value; return the row."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            for row in await client.ask(command):
                if row[column] == value:
                    return row


@asynccontextmanager
async def knocking(port: int, database: str, user: str = "postgres") -> AsyncIterator[RawSession]:
    """Ask to be let in, and do not wait for it."""
    reader, writer = await asyncio.open_connection(HOST, port)
    raw = RawSession(reader, writer, port)
    pairs = ((b"user", user.encode()), (b"database", database.encode()))
    raw.send(serialize_startup(m.StartupMessage(pairs, PROTOCOL_3_0)))
    try:
        yield raw
    finally:
        raw.abort()
        await asyncio.sleep(0)


async def until_closed(raw: RawSession) -> list[Frame]:
    """Return all up to the end of the connection."""
    frames: list[Frame] = []
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            frames.append(await raw.frame())
    return frames
