"""A relay that hands each answer on a fixed time after it came: ``delay PORT DATABASE_PORT MILLISECONDS``."""

from __future__ import annotations

import asyncio
import sys

HOST = "127.0.0.1"


class _Side(asyncio.Protocol):
    """One side of a connection."""

    def __init__(self, delay_s: float) -> None:
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._delay_s = delay_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what came before."""
        self.transport = transport  # type: ignore[assignment]  # uvloop has classes of its own
        for data in self._early:
            self.send(data)

    def data_received(self, data: bytes) -> None:
        """Hand on, now or later."""
        assert self.other is not None
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self.other.send, data)
        else:
            self.other.send(data)

    def send(self, data: bytes) -> None:
        """Send to this side."""
        if self.transport is None:
            self._early.append(data)
        elif not self.transport.is_closing():
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side too."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Client(_Side):
    """The side of the pool."""

    def __init__(self, port: int, delay_s: float) -> None:
        super().__init__(0.0)
        self.other = database = _Side(delay_s)
        database.other = self
        self._port = port
        self._dialing: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the database."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        database = self.other
        assert database is not None
        self._dialing = loop.create_task(loop.create_connection(lambda: database, HOST, self._port))


async def _serve(port: int, database_port: int, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Client(database_port, delay_s), HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
