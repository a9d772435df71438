"""Clients that keep a host busy and count what they did not get.

A request fails when its connection was made, and not the whole answer came. One exception, which RFC 9112 §9.6 makes: a
connection that was idle and is closed before a byte of the answer was seen; the request is sent again on a new one. A
connection that is refused is no request at all: it ends a client.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Answer", "Load", "exchange", "under_load"]

REQUEST = b"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"


class ClosedWhileIdle(Exception):
    """The connection ended before a byte of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def is_last(self) -> bool:
        """True when the connection ends behind it."""
        return self.headers.get(b"connection", b"").lower() == b"close"


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Answer:
    """Send a request and return the answer, which has a content-length.

    Raises:
        ClosedWhileIdle: nothing came.
        OSError, EOFError: less than an answer came.
    """
    try:
        writer.write(request)
        first = await reader.read(1)
    except ConnectionError as exc:
        raise ClosedWhileIdle from exc
    if not first:
        raise ClosedWhileIdle
    head = first + await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.strip().split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body = await reader.readexactly(int(headers[b"content-length"]))
    return Answer(int(status_line.split()[1]), headers, body)


@dataclass(slots=True)
class Load:
    """What the clients saw."""

    port: int
    path: str = "/"
    answers: int = 0
    retried: int = 0
    bodies: set[bytes] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    refused: int = 0
    is_over: bool = False
    _made: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for_answers(self, count: int) -> None:
        """Wait until so many more answers have come."""
        wanted = self.answers + count
        async with self._made:
            await self._made.wait_for(lambda: self.answers >= wanted)

    async def client(self, *, keeps_alive: bool) -> None:
        """Send one request after the other until the load is over or the port is closed."""
        while not self.is_over:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                self.refused += 1
                return
            try:
                await self._use(reader, writer, keeps_alive=keeps_alive)
            except (OSError, EOFError, ClosedWhileIdle) as exc:
                self.failures.append(f"{exc!r} after {self.answers} answers, keeps_alive={keeps_alive}")
            finally:
                writer.transport.abort()

    async def _use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keeps_alive: bool) -> None:
        request = REQUEST.replace(b"{path}", self.path.encode())
        is_used = False
        while not self.is_over:
            try:
                answer = await exchange(reader, writer, request)
            except ClosedWhileIdle:
                if not is_used:
                    raise
                self.retried += 1
                return
            is_used = True
            if answer.status != 200:
                self.failures.append(f"{answer.status} {answer.body!r}")
            self.bodies.add(answer.body)
            async with self._made:
                self.answers += 1
                self._made.notify_all()
            if answer.is_last or not keeps_alive:
                return


@contextlib.asynccontextmanager
async def under_load(port: int, *, keeping: int = 20, fresh: int = 10, path: str = "/") -> AsyncIterator[Load]:
    """Keep a port busy with clients that keep their connection and clients that make a new one for each request."""
    load = Load(port, path)
    kinds = [True] * keeping + [False] * fresh
    clients = [spawn(load.client(keeps_alive=kind), name=f"client {number}") for number, kind in enumerate(kinds)]
    try:
        yield load
    finally:
        load.is_over = True
        await asyncio.gather(*clients)
