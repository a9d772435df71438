"""``Link``: makes a socket with ``connect()`` and hands out the other end as a steerable peer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore import Socket, connect
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from longshore import TlsOptions

__all__ = ["BIG", "Link", "Peer", "turns"]

BIG = bytes(range(256)) * (8 << 12)
"""8 MiB: more than the kernel takes from a sender whose peer does not read."""

Peer: TypeAlias = RawPeer | TlsPeer


@dataclass(frozen=True, slots=True)
class Link:
    """What both ends need."""

    is_tls: bool
    server_context: ssl.SSLContext
    client_tls: TlsOptions

    @property
    def options(self) -> dict[str, Any]:
        """What ``connect()`` must be told."""
        return {"secure_transport": "on", "tls": self.client_tls} if self.is_tls else {}

    @asynccontextmanager
    async def __call__(self, **options: Any) -> AsyncIterator[tuple[Socket, Peer]]:
        """Give an open socket and its peer; both are gone in the end."""
        with RawServer(receive_buffer_bytes=4096) as server:
            socket = connect(server.address, **self.options, **options)
            try:
                async with await self.accept(server) as peer:
                    await socket.opened
                    yield socket, peer
            finally:
                socket.abort()

    async def accept(self, server: RawServer) -> Peer:
        """Return the peer of the next connection."""
        raw = await server.accept()
        if not self.is_tls:
            return raw
        peer = TlsPeer(raw, self.server_context)
        try:
            await peer.handshake()
        except BaseException:
            raw.close()
            raise
        return peer


async def turns(count: int = 30) -> None:
    """Let everything run that is able to."""
    for _ in range(count):
        await asyncio.sleep(0)
