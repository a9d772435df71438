"""A tunnel with both its ends in one process: what lies between them in reality is put off by a turn of the loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.core.tls_options import TlsOptions, TlsRequest
from longshore.egress.tunnel import Tunnel, TunnelStep, open_tunnel
from longshore.egress.tunnel_stream import TunnelStream
from longshore.net.streams import FdStream
from tests.testing.raw import RawPeer, RawServer
from tests.testing.tls_peer import NAME, TlsPeer, TlsVersion, client_context, server_context

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from longshore.errors import SocketError

__all__ = ["TunnelScene", "request", "tunnel_scene"]


def request(*, timeout_s: float | None = None) -> TlsRequest:
    """What asks for a handshake with the peer of these tests."""
    return TlsRequest(NAME, options=TlsOptions(context=client_context()), timeout_s=timeout_s)


class TunnelScene:
    """A worker's stream, the tunnel behind it and the peer of that."""

    def __init__(self, peer: TlsPeer) -> None:
        self.peer = peer
        self.loop = asyncio.get_running_loop()
        self.ends: list[SocketError | None] = []
        self.steps: list[str] = []
        self.is_message_late = False
        self.done = asyncio.Event()
        self.tunnel: Tunnel
        self.stream: TunnelStream

    def attach(self, tunnel: Tunnel) -> None:
        """Make the worker's stream."""
        self.tunnel = tunnel
        tunnel.on_done = self.done.set
        self.plain: socket.socket = tunnel.take_plain()
        self.stream = TunnelStream(FdStream(self.plain, self.loop, NAME), self.tell)

    def on_end(self, error: SocketError | None) -> None:
        """``TunnelEnded`` on its way."""
        self.ends.append(error)
        if not self.is_message_late:
            self.loop.call_soon(self.stream.ended, error)

    def tell(self, step: TunnelStep) -> None:
        """``EndTunnel`` on its way."""
        self.steps.append(step)
        self.loop.call_soon(self.tunnel.end, step)


@asynccontextmanager
async def tunnel_scene(version: TlsVersion = "TLSv1.3") -> AsyncIterator[TunnelScene]:
    """Open a tunnel; at the end everything is closed, and the tunnel has to notice by itself."""
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        peer = TlsPeer(await server.accept(), server_context(version))
    scene = TunnelScene(peer)
    opened, _ = await asyncio.gather(open_tunnel(client.sock, request(), scene.on_end), peer.handshake())
    scene.attach(opened)
    try:
        yield scene
    finally:
        scene.stream.close()
        peer.close()
        async with asyncio.timeout(10):
            await scene.done.wait()
