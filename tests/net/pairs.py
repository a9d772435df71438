"""Connected streams for the tests of ``longshore.net``: ours on one side, a raw peer on the other."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.net.streams import FdStream
from longshore.testing import StreamDriver
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from longshore.abc import ByteStream

__all__ = ["Recorder", "driven", "fd_stream_pair"]


async def fd_stream_pair(*, is_near: bool = False, receive_buffer_bytes: int | None = None) -> tuple[FdStream, RawPeer]:
    """Return a stream over TCP and its peer."""
    with RawServer(receive_buffer_bytes=receive_buffer_bytes) as server:
        near = await RawPeer.connect(server.address)
        far = await server.accept()
    loop = asyncio.get_running_loop()
    return FdStream(near.sock, loop, "the peer", is_near=is_near), far


@asynccontextmanager
async def driven(*, is_near: bool = False) -> AsyncIterator[tuple[StreamDriver, RawPeer]]:
    """Give a stream with a driver, and its peer; both are closed in the end."""
    stream, peer = await fd_stream_pair(is_near=is_near)
    try:
        yield StreamDriver(stream), peer
    finally:
        stream.close()
        peer.close()


class Recorder:
    """A ``StreamOwner`` that writes down what it hears, and takes nothing."""

    def __init__(self, stream: ByteStream) -> None:
        self.heard: list[str] = []
        self.errors: list[Exception] = []
        self._changed = asyncio.Event()
        stream.set_owner(self)

    def on_readable(self) -> None:
        self._note("readable")

    def on_writable(self) -> None:
        self._note("writable")

    def on_broken(self, error: Exception) -> None:
        self.errors.append(error)
        self._note("broken")

    def _note(self, what: str) -> None:
        self.heard.append(what)
        self._changed.set()

    async def wait_for(self, what: str) -> None:
        """Wait until it has heard that."""
        while what not in self.heard:
            self._changed.clear()
            await self._changed.wait()


def poll_set_size(sock: socket.socket) -> int:
    """Return 1 while the stdlib loop polls the socket, else 0."""
    loop = asyncio.get_running_loop()
    return int(sock.fileno() in loop._selector.get_map())  # type: ignore[attr-defined]  # the stdlib loop's
