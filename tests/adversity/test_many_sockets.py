"""Ten thousand sockets, one after the other: what one costs is given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
from typing import TYPE_CHECKING, Any

import pytest

from longshore import ConnectError, ResetError, Socket, SocketError, connect
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from longshore import TlsOptions
    from tests.testing.raw import RawPeer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TOTAL, FIRST, AT_ONCE = 10_000, 2_000, 50
OBJECTS_SPARE = 2_000
"""What caches of Python and of the loop may hold in addition; a leak of one object per socket is four times that."""
MEMORY_SPARE_BYTES = 6 << 20


class Census:
    """What the process holds."""

    def __init__(self) -> None:
        gc.collect()
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.objects = len(gc.get_objects())
        with open("/proc/self/statm", encoding="ascii") as file:
            self.resident_bytes = int(file.read().split()[1]) * resource.getpagesize()

    def check_against(self, earlier: Census) -> None:
        """Nothing has grown."""
        assert self.descriptors == earlier.descriptors
        assert self.objects - earlier.objects < OBJECTS_SPARE
        assert self.resident_bytes - earlier.resident_bytes < MEMORY_SPARE_BYTES


async def repeat(one: Callable[[int], Awaitable[None]], total: int = TOTAL, first: int = FIRST) -> None:
    """Do it ``first`` times, take the census, do the rest, compare."""
    numbers = iter(range(total))
    await run(one, [next(numbers) for _ in range(first)])
    census = Census()
    await run(one, list(numbers))
    Census().check_against(census)


async def run(one: Callable[[int], Awaitable[None]], numbers: list[int]) -> None:
    for start in range(0, len(numbers), AT_ONCE):
        await asyncio.gather(*(one(number) for number in numbers[start : start + AT_ONCE]))


async def test_ten_thousand_sockets_leave_nothing() -> None:
    """Every way to end one takes its turn."""
    with RawServer() as server:
        turn = asyncio.Lock()
        endings = [by_close, by_peer, by_abort, by_reset, by_half_close]

        async def one(number: int) -> None:
            socket, peer = await meet(server, turn)
            async with peer:
                await socket.writable.write(b"?")
                assert await peer.receive() == b"?"
                await peer.send(b"!")
                assert await socket.readable.read() == b"!"
                await endings[number % len(endings)](socket, peer)

        await repeat(one)


async def meet(server: RawServer, turn: asyncio.Lock, **options: Any) -> tuple[Socket, RawPeer]:
    """Connect; return both ends of one connection, which takes one at a time."""
    async with turn:
        return connect(server.address, **options), await server.accept()


async def by_close(socket: Socket, peer: RawPeer) -> None:
    socket.close()
    assert await peer.receive() == b""
    await socket.closed


async def by_peer(socket: Socket, peer: RawPeer) -> None:
    peer.close()
    assert await socket.readable.read() == b""
    await socket.closed


async def by_abort(socket: Socket, peer: RawPeer) -> None:
    socket.abort()
    with contextlib.suppress(SocketError):
        await socket.closed
    with pytest.raises(ConnectionResetError):
        await peer.receive()


async def by_reset(socket: Socket, peer: RawPeer) -> None:
    peer.abort()
    with pytest.raises(ResetError):
        await socket.readable.read()


async def by_half_close(socket: Socket, peer: RawPeer) -> None:
    await socket.writable.close()
    assert await peer.receive() == b""
    peer.close()
    assert await socket.readable.read() == b""
    await socket.closed


async def test_ten_thousand_failed_connects_leave_nothing() -> None:
    async def one(_: int) -> None:
        socket = connect("127.0.0.1:1")
        with pytest.raises(ConnectError):
            await socket.opened

    await repeat(one)


@pytest.mark.one_loop("asyncio")
async def test_ten_thousand_connects_that_are_given_up_leave_nothing() -> None:
    with RawServer() as server:
        server.sock.listen(4 * AT_ONCE)

        async def one(number: int) -> None:
            socket = connect(server.address)
            for _ in range(number % 4):
                await asyncio.sleep(0)
            await socket.close()
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.sock.accept()[0].close()

        await repeat(one)


@pytest.mark.one_loop("asyncio")
async def test_a_thousand_tls_sockets_leave_nothing(server_ssl_context: ssl.SSLContext, client_tls: TlsOptions) -> None:
    options: dict[str, Any] = {"secure_transport": "on", "tls": client_tls}
    turn = asyncio.Lock()
    with RawServer() as server:

        async def one(number: int) -> None:
            socket, raw = await meet(server, turn, **options)
            async with TlsPeer(raw, server_ssl_context) as peer:
                await asyncio.gather(peer.handshake(), socket.opened)
                if number % 2:
                    await socket.close()
                    assert await peer.receive() == b""
                else:
                    await peer.send_eof()
                    assert await socket.readable.read() == b""
                    await socket.closed

        await repeat(one, total=1000, first=300)
