"""A socket of ours with the test at its other end, on real loopback connections.

The far end is a ``RawPeer`` (exact FIN and RST) or a ``TlsPeer`` over one (exact close_notify and truncation).
"""

from __future__ import annotations

import socket as system
import ssl
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from longshore import Socket, SocketError, connect
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from longshore import Promise, TlsOptions

__all__ = ["TlsPeer", "black_hole", "ending", "linked", "linked_tls", "outcome", "peer_gone", "refusing_address"]

T = TypeVar("T")


async def outcome(promise: Promise[Any]) -> BaseException | None:
    """Wait for a promise and return what it was rejected with, None when it resolved."""
    try:
        await promise
    except SocketError as exc:
        return exc
    return None


@asynccontextmanager
async def ending(*sockets: Socket) -> AsyncIterator[None]:
    """Abort the sockets at the end, whatever they are doing."""
    try:
        yield
    finally:
        for socket in sockets:
            socket.abort()
            await outcome(socket.closed)


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[tuple[Socket, RawPeer]]:
    """Give a connected socket and its peer."""
    with RawServer() as server:
        socket = connect(server.address, **options)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            yield socket, peer


@asynccontextmanager
async def linked_tls(tls: TlsOptions, context: ssl.SSLContext, **options: Any) -> AsyncIterator[tuple[Socket, TlsPeer]]:
    """Give a socket that has made its TLS handshake, and its peer."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=tls, **options)
        async with await server.accept() as raw, ending(socket):
            peer = TlsPeer(raw, context)
            await peer.handshake()
            await socket.opened
            yield socket, peer


async def peer_gone(peer: RawPeer) -> str:
    """Wait for the end of a connection as the peer sees it: ``"eof"`` or ``"reset"``."""
    return (await peer.receive_until_end())[1]


class TlsPeer:
    """A TLS server on one connection; each method says which bytes leave."""

    def __init__(self, raw: RawPeer, context: ssl.SSLContext) -> None:
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Answer the client's handshake."""
        await self._drive(self.ssl.do_handshake)

    async def receive(self) -> bytes:
        """Return what was sent, ``b""`` after close_notify.

        Raises:
            ssl.SSLEOFError: FIN without close_notify.
            ConnectionResetError: RST.
        """
        try:
            return await self._drive(lambda: self.ssl.read(65536))
        except ssl.SSLZeroReturnError:
            return b""

    async def receive_exactly(self, count: int) -> bytes:
        """Return ``count`` bytes."""
        received = bytearray()
        while len(received) < count:
            data = await self._drive(partial(self.ssl.read, count - len(received)))
            assert data, f"close_notify after {len(received)} of {count} bytes"
            received += data
        return bytes(received)

    async def receive_all(self) -> bytes:
        """Return everything up to close_notify."""
        received = bytearray()
        while data := await self.receive():
            received += data
        return bytes(received)

    async def send(self, data: bytes) -> None:
        """Send application data."""
        self.ssl.write(data)
        await self._flush()

    async def send_eof(self) -> None:
        """Send close_notify, then FIN."""
        waiting = self._incoming.read()  # SSL_shutdown would drop application data
        try:
            self.ssl.unwrap()
        except ssl.SSLError:
            pass  # SSLWantReadError: sent, the client has not ended its side
        self._incoming.write(waiting)
        await self._flush()
        await self.raw.send_eof()

    async def _drive(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                await self._flush()  # the alert
                raise
            else:
                await self._flush()
                return result
            data = await self.raw.receive()
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self.raw.send(self._outgoing.read())


@contextmanager
def black_hole() -> Iterator[str]:
    """Give an address that neither accepts nor refuses: the backlog of its listener is full."""
    fillers: list[system.socket] = []
    with system.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        try:
            for _ in range(4):  # Linux queues one more than was asked for
                filler = system.socket()
                fillers.append(filler)
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            host, port = listener.getsockname()
            yield f"{host}:{port}"
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def refusing_address(host: str = "127.0.0.1") -> Iterator[str]:
    """Give an address that refuses: it is bound, so that nobody else gets it, and nobody listens."""
    with system.socket() as bound:
        bound.bind((host, 0))
        yield f"{host}:{bound.getsockname()[1]}"
