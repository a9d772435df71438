"""A pool in front of the PostgreSQL of the fixtures, and raw clients of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.pool.client_connection import ClientConnection
from longshore.pool.pool import Pool
from longshore.pool.state_model import Rules
from longshore.pool.target import Target
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import PROTOCOL_3_0, BackendType, TransactionStatus
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize, serialize_startup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.pool.client_connection import Cancels

__all__ = ["PoolRig", "RawSession", "pool_on", "session"]

HOST = "127.0.0.1"
LIMIT_S = 30.0


class PoolRig:
    """A listening pool.

    Attributes:
        port: where it listens.
        clients: everyone who ever connected.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.port = 0
        self.clients: list[ClientConnection] = []
        self.pins: list[str] = []

    def in_use(self) -> int:
        """Return how many clients have a server connection."""
        return sum(client._server is not None for client in self.clients)

    def has_server(self, session_number: int) -> bool:
        """Return whether a client has one, in the order of their coming."""
        return self.clients[session_number]._server is not None


@asynccontextmanager
async def pool_on(port: int, *, size: int, database: str = "postgres") -> AsyncIterator[PoolRig]:
    """Run a pool."""
    pool = Pool(Target(host=HOST, port=port, user="postgres", database=database), Rules(size=size))
    rig = PoolRig(pool)
    pool.shared.on_pin = lambda _, reason, __: rig.pins.append(reason)
    cancels: Cancels = {}

    def make() -> ClientConnection:
        rig.clients.append(ClientConnection(lambda _: pool, cancels))
        return rig.clients[-1]

    server = await asyncio.get_running_loop().create_server(make, HOST, 0)
    rig.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            yield rig
    finally:
        for client in rig.clients:
            if client._transport is not None:
                client._transport.abort()
        await asyncio.sleep(0)
        await pool.aclose()
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
async def session(port: int, database: str = "postgres", **settings: str) -> AsyncIterator[RawSession]:
    """Connect and log in."""
    reader, writer = await asyncio.open_connection(HOST, port)
    raw = RawSession(reader, writer, port)
    wanted = {"user": "postgres", "database": database, "application_name": "test", **settings}
    pairs = tuple((name.encode(), value.encode()) for name, value in wanted.items())
    raw.send(serialize_startup(m.StartupMessage(pairs, PROTOCOL_3_0)))
    await raw.until_ready()
    try:
        yield raw
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
