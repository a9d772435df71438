"""``Recorder``: an ``asyncio.Protocol`` that writes down what it is called with, and lets a test wait for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from longshore.adapters.protocol import ProtocolTransport, create_connection
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.link import Link, Peer

__all__ = ["BufferedRecorder", "Notes", "Recorder", "driven"]

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Notes(asyncio.BaseProtocol):
    """What both kinds have in common.

    Args:
        keep_open: what ``eof_received`` returns.
    """

    def __init__(self, *, keep_open: bool | None = None) -> None:
        self.calls: list[str] = []
        self.received = bytearray()
        self.error: Exception | None = None
        self.transport: asyncio.BaseTransport | None = None
        self._keep_open = keep_open
        self._changed = asyncio.Event()

    def note(self, call: str) -> None:
        """Write the call down."""
        self.calls.append(call)
        self._changed.set()

    async def until(self, call: str) -> None:
        """Wait until it was called so."""
        while call not in self.calls:
            self._changed.clear()
            await self._changed.wait()

    async def until_received(self, count: int) -> bytes:
        """Wait for so many bytes, and return all."""
        while len(self.received) < count:
            self._changed.clear()
            await self._changed.wait()
        return bytes(self.received)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.note("made")

    def eof_received(self) -> bool | None:
        self.note("eof")
        return self._keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.note("lost")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")


class Recorder(Notes, asyncio.Protocol):
    """Takes bytes."""

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.note("data")


class BufferedRecorder(Notes, asyncio.BufferedProtocol):
    """Offers a buffer of its own."""

    def __init__(self, *, keep_open: bool | None = None, buffer_bytes: int = 1000) -> None:
        super().__init__(keep_open=keep_open)
        self._buffer = bytearray(buffer_bytes)

    def get_buffer(self, sizehint: int) -> bytearray:
        assert sizehint > 0
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self._buffer[:nbytes]
        self.note("data")


@asynccontextmanager
async def driven(
    link: Link, factory: Callable[[], P], **options: Any
) -> AsyncIterator[tuple[ProtocolTransport, P, Peer]]:
    """Give a protocol that is driven, its transport and its peer."""
    with RawServer(receive_buffer_bytes=4096) as server:
        host, _, port = server.address.rpartition(":")
        connecting = asyncio.ensure_future(create_connection(factory, host, int(port), **link.options, **options))
        async with await link.accept(server) as peer:
            transport, protocol = await connecting
            try:
                yield transport, protocol, peer
            finally:
                transport.abort()
