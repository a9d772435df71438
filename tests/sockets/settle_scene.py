"""The stage on which the rows of ``settle_matrix.py`` are played: a server, its peers and our sockets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from longshore import DirectDialer, EgressPolicy, connect
from longshore.testing import StaticResolver
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from longshore import Promise, Socket, SocketInfo, TlsOptions
    from tests.testing.raw import RawPeer

__all__ = ["BIG", "Scene", "Subject", "TlsFiles", "turns"]

BIG = bytes(8 << 20)
"""More than the kernel takes from a sender whose peer does not read."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What both sides need for TLS."""

    good: ssl.SSLContext
    untrusted: ssl.SSLContext
    options: TlsOptions


@dataclass(slots=True)
class Subject:
    """What is looked at when the event of a row has happened."""

    opened: Promise[SocketInfo]
    closed: Promise[None]
    socket: Socket | None

    @classmethod
    def of(cls, socket: Socket) -> Subject:
        """Return what a socket shows."""
        return cls(socket.opened, socket.closed, socket)


async def turns(count: int = 30) -> None:
    """Let everything run that is able to."""
    for _ in range(count):
        await asyncio.sleep(0)


class Scene:
    """A listening server and everything that a row opens; all of it is gone at the end."""

    def __init__(self, tls: TlsFiles) -> None:
        self.tls = tls
        self.server = RawServer(receive_buffer_bytes=4096)
        self._sockets: list[Socket] = []
        self._peers: list[RawPeer] = []
        self.tasks: list[asyncio.Task[Any]] = []

    # -- opening ---------------------------------------------------------------------------------

    def connect(self, address: str | None = None, **options: Any) -> Socket:
        """Begin to connect, to the server when nothing else is said."""
        socket = connect(address or self.server.address, **options)
        self._sockets.append(socket)
        return socket

    def connect_slowly(self, **options: Any) -> Socket:
        """Begin to connect to a name that is never resolved."""
        resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=asyncio.Event())
        return self.connect("slow.example:80", dialer=DirectDialer(resolver=resolver), **options)

    def connect_denied(self) -> Socket:
        """Connect to where policy does not let us."""
        return self.connect(dialer=DirectDialer(policy=EgressPolicy(allow=("public",))))

    async def open(self, **options: Any) -> tuple[Socket, RawPeer]:
        """Connect; return both ends."""
        socket = self.connect(**options)
        peer = await self.accept()
        await socket.opened
        return socket, peer

    async def accept(self) -> RawPeer:
        """Take the next connection of the server."""
        peer = await self.server.accept()
        self._peers.append(peer)
        return peer

    async def open_tls(self, **options: Any) -> tuple[Socket, TlsPeer]:
        """Connect with TLS; return both ends."""
        socket = self.connect(secure_transport="on", tls=self.tls.options, **options)
        peer = TlsPeer(await self.accept(), self.tls.good)
        await asyncio.gather(peer.handshake(), socket.opened)
        return socket, peer

    async def upgrade(self) -> tuple[Socket, Socket]:
        """Make a socket, upgrade it; return the old and the new."""
        old, raw = await self.open(secure_transport="starttls", tls=self.tls.options)
        new = self.adopt(old.start_tls())
        await asyncio.gather(TlsPeer(raw, self.tls.good).handshake(), new.opened)
        return old, new

    def adopt(self, socket: Socket) -> Socket:
        """Let the scene end a socket that it did not make."""
        self._sockets.append(socket)
        return socket

    def forget(self) -> None:
        """Hold no socket any more."""
        self._sockets.clear()

    # -- tasks of the user -----------------------------------------------------------------------

    async def cancel_waiting(self, awaitable: Any) -> None:
        """Let a task wait for something, and cancel it."""

        async def wait() -> None:
            await awaitable

        task = asyncio.create_task(wait())
        await turns()
        assert not task.done(), "the task had nothing to wait for"
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    # -- the end ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in self._sockets:
            socket.abort()
        for peer in self._peers:
            peer.close()
        self.server.sock.close()
        for socket in self._sockets:
            await asyncio.gather(socket.closed, return_exceptions=True)
