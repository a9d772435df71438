"""A socket of ours with the test at its other end, on real loopback connections.

The far end is a ``RawPeer`` (exact FIN and RST) or a ``TlsPeer`` over one (exact close_notify and truncation).
"""

from __future__ import annotations

import socket as system
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from longshore import Socket, SocketError, connect
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator

    from longshore import Promise, TlsOptions

__all__ = ["black_hole", "ending", "linked", "linked_tls", "outcome", "refusing_address"]


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
