"""A pool in front of the PostgreSQL of the fixtures, and raw clients of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.model import Database, Mode
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target
from longshore.pool.session.engine import SessionEngine
from longshore.pool.slots.model import Rules
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import PROTOCOL_3_0, BackendType, TransactionStatus
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize, serialize_startup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.pool import Pool

__all__ = ["PoolRig", "RawSession", "pool_on", "session"]

HOST = "127.0.0.1"
_moved_ids = itertools.count(1_000_000)
LIMIT_S = 30.0


class PoolRig:
    """A listening pool.

    Attributes:
        port: where it listens.
        clients: everyone who ever logged in.
    """

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.port = 0
        self.clients: list[ClientConnection] = []
        self.pins: list[str] = []

    @property
    def pool(self) -> Pool:
        """The only one."""
        (pool,) = self.pools.pools()
        return pool

    def in_use(self) -> int:
        """Return how many clients have a server connection."""
        return sum(client._server is not None for client in self.clients)

    def move(self, session_number: int) -> bool:
        """Make a session go through JSON, as it would to another process; False when it cannot be moved now."""
        client = self.clients[session_number]
        packed = client.packed()
        if packed is not None:
            engine = SessionEngine.unpacked(json.loads(json.dumps(packed)), next(_moved_ids), self.pool.shared)
            engine.on_wake = client._engine.on_wake
            client._engine = client._lane._engine = engine
        return packed is not None

    def has_server(self, session_number: int) -> bool:
        """Return whether a client has one, in the order of their coming."""
        return self.clients[session_number]._server is not None


@asynccontextmanager
async def pool_on(
    port: int,
    *,
    size: int,
    database: str = "postgres",
    mode: Mode = Mode.TRANSACTION,
    target: Target | None = None,
) -> AsyncIterator[PoolRig]:
    """Run a pool."""
    target = target or Target(host=HOST, port=port, user="postgres", database=database)
    pools = Pools(
        [Database(name="*", target=target, rules=Rules(size=size), mode=mode)],
        on_pin=lambda _, __, reason, ___: rig.pins.append(reason),
    )
    rig = PoolRig(pools)
    door = ClientDoor(pools=pools, on_login=rig.clients.append)
    server = await asyncio.get_running_loop().create_server(lambda: ClientStart(door), HOST, 0)
    rig.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            yield rig
    finally:
        await pools.aclose()
        await asyncio.sleep(0)


class RawSession:
    """One client; what it hears is kept as messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader = reader
        self._writer = writer
        self._port = port
        self._frames = backend_reader(max_whole_bytes=1 << 26)
        self._waiting: list[Frame] = []
        self.parameters: dict[bytes, bytes] = {}
        self.notifications: list[tuple[bytes, bytes]] = []
        self.status = TransactionStatus.IDLE
        self.key = m.BackendKeyData(0, b"\0\0\0\0")

    def send(self, *messages: m.FrontendMessage | bytes) -> None:
        """Send messages in one piece."""
        parts = (each if isinstance(each, bytes) else serialize(each) for each in messages)
        self._writer.write(b"".join(parts))

    async def drain(self) -> None:
        """Wait until most of what was sent has gone."""
        await self._writer.drain()

    async def frame(self) -> Frame:
        """Return the next message that answers something."""
        while True:
            while self._waiting:
                frame = self._waiting.pop(0)
                if not self._is_asynchronous(frame):
                    return frame
            await self._read()

    async def _read(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            data = await self._reader.read(65536)
        if not data:
            raise EOFError
        self._waiting += (event for event in self._frames.receive_data(data) if isinstance(event, Frame))

    def _is_asynchronous(self, frame: Frame) -> bool:
        message = parse_backend(frame.type, frame.payload)
        if isinstance(message, m.ParameterStatus):
            self.parameters[message.name] = message.value
        elif isinstance(message, m.NotificationResponse):
            self.notifications.append((message.channel, message.payload))
        elif isinstance(message, m.BackendKeyData):
            self.key = message
        else:
            if frame.type == BackendType.ReadyForQuery:
                self.status = TransactionStatus(frame.raw[5])
            return False
        return True

    async def until_ready(self, times: int = 1) -> list[Frame]:
        """Return all up to so many ReadyForQuery."""
        frames: list[Frame] = []
        while times:
            frames.append(await self.frame())
            times -= frames[-1].type == BackendType.ReadyForQuery
        return frames

    async def query(self, text: str) -> list[Frame]:
        """Send a simple query; return its answer."""
        self.send(m.Query(text.encode()))
        return await self.until_ready()

    async def value(self, text: str) -> str | None:
        """Return the only value of a query."""
        for frame in await self.query(text):
            if frame.type == BackendType.ErrorResponse:
                raise AssertionError(frame.raw)
            if frame.type == BackendType.DataRow:
                message = parse_backend(frame.type, frame.payload)
                assert isinstance(message, m.DataRow)
                found = message.values[0]
                return None if found is None else found.decode()
        raise AssertionError("no row")

    async def cancel(self) -> None:
        """Ask for a cancel."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        writer.write(serialize_startup(m.CancelRequest(self.key.process_id, self.key.secret_key)))
        await reader.read()
        writer.close()

    def abort(self) -> None:
        """Die."""
        self._writer.transport.abort()

    async def aclose(self) -> None:
        """Say good-bye."""
        self.send(m.Terminate())
        self._writer.close()
        await self._writer.wait_closed()


@asynccontextmanager
async def session(
    port: int, database: str = "postgres", *, version: int = PROTOCOL_3_0, **settings: str
) -> AsyncIterator[RawSession]:
    """Connect and log in."""
    reader, writer = await asyncio.open_connection(HOST, port)
    raw = RawSession(reader, writer, port)
    wanted = {"user": "postgres", "database": database, "application_name": "test", **settings}
    pairs = tuple((name.encode(), value.encode()) for name, value in wanted.items())
    raw.send(serialize_startup(m.StartupMessage(pairs, version)))
    await raw.until_ready()
    try:
        yield raw
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
