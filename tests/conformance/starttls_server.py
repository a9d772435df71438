"""The STARTTLS server of workerd's tests: HELLO, HELLO_BACK, START_TLS, then ping and pong under TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl

    from longshore import Socket
    from tests.testing.raw import RawPeer

__all__ = ["agree_on_tls", "greet", "serve_pings"]


async def greet(peer: RawPeer) -> None:
    """Play the server's part until START_TLS is sent."""
    await peer.send(b"HELLO\n")
    assert await peer.receive_exactly(11) == b"HELLO_BACK\n"
    await peer.send(b"START_TLS\n")


async def serve_pings(peer: RawPeer, context: ssl.SSLContext, count: int = 1) -> TlsPeer:
    """Play the server's part from the handshake on."""
    secure = TlsPeer(peer, context)
    await secure.handshake()
    for _ in range(count):
        assert await secure.receive_exactly(5) == b"ping\n"
        await secure.send(b"pong\n")
    return secure


async def agree_on_tls(socket: Socket) -> None:
    """Play the client's part until START_TLS is read; both locks are released."""
    reader, writer = socket.readable.get_reader(), socket.writable.get_writer()
    assert await reader.read() == b"HELLO\n"
    await writer.write(b"HELLO_BACK\n")
    assert await reader.read() == b"START_TLS\n"
    reader.release_lock()
    writer.release_lock()
