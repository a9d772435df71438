"""The other side of the tests of trapped connections: one that echoes, one that refuses, one that never answers."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # the client may end as it likes
    finally:
        writer.close()


@asynccontextmanager
async def servers(host: str = "127.0.0.1") -> AsyncIterator[dict[str, int]]:
    """Yield the ports by name."""
    server = await asyncio.start_server(echo, host, 0)
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        closed.bind(("127.0.0.1", 0))
        # With its backlog full, the kernel drops further SYNs without a word.
        fillers = [socket.socket() for _ in range(3)]
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        try:
            async with server:
                sockets = {"echo": server.sockets[0], "closed": closed, "full": full}
                yield {name: sock.getsockname()[1] for name, sock in sockets.items()}
        finally:
            for each in fillers:
                each.close()
