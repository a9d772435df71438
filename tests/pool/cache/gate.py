"""A relay between a pool and its database that keeps answers back until the test lets them go."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.pool.rig import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Gate", "gate_to"]


class Gate:
    """Of all connections through it."""

    def __init__(self) -> None:
        self.port = 0
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._has_come = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._needle = b""
        self._is_refusing = False

    def shut(self, needle: bytes = b"") -> None:
        """Keep answers back from now on: all, or those from one on that holds ``needle``."""
        self._needle = needle
        self._has_come.clear()
        self._is_open.clear()

    async def has_come(self) -> None:
        """Wait until there is an answer that is kept back."""
        async with asyncio.timeout(20):
            await self._has_come.wait()

    def open(self) -> None:
        """Let all go."""
        self._is_open.set()

    def refuse(self) -> None:
        """Break every connection, and each that comes."""
        self._is_refusing = True
        self.drop()

    def accept(self) -> None:
        """Let connections in again."""
        self._is_refusing = False

    def drop(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Relay one connection."""
        if self._is_refusing:
            writer.transport.abort()
            return
        back, forth = await asyncio.open_connection(HOST, port)
        self._writers += (writer, forth)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, forth, is_answer=False))
                group.create_task(self._pump(back, writer, is_answer=True))
        except* (OSError, RuntimeError):  # uvloop says the latter of a transport that is closed
            pass
        finally:
            writer.transport.abort()
            forth.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while data := await reader.read(65536):
            if is_answer and not self._is_open.is_set() and self._needle in data:
                self._has_come.set()
                await self._is_open.wait()
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    """Listen in front of a database."""
    gate = Gate()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await gate.serve(reader, writer, port)

    server = await asyncio.start_server(serve, HOST, 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            yield gate
    finally:
        gate.open()
        gate.drop()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
