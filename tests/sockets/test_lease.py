"""A socket that nobody refers to any more."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore import Socket, connect
from longshore.testing import MemoryDialer
from tests.conformance.starttls_server import serve_pings
from tests.loopback import ending, refusing_address
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from longshore import TlsOptions


async def collect() -> None:
    """Collect what is unreachable, and let the loop act on it."""
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)


@asynccontextmanager
async def no_warning() -> AsyncIterator[None]:
    """Fail at any warning; one raised in a callback would only reach the loop's exception handler."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        await collect()
    assert [str(warning.message) for warning in caught] == []


@asynccontextmanager
async def forgetting(says: str) -> AsyncIterator[None]:
    """Expect exactly one warning, that ``says`` so."""
    with pytest.warns(ResourceWarning, match=says) as caught:  # noqa: PT031 - the collection is what warns
        yield
        await collect()
    assert len(caught) == 1


async def test_an_open_socket_that_is_forgotten_is_reset_and_named() -> None:
    """K13: one warning with the file and the line of ``connect()``; the peer gets a RST, not a FIN."""
    with RawServer() as server:
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
        socket: Socket | None = connect(server.address)
        async with await server.accept() as peer:
            assert socket is not None
            await socket.opened
            async with forgetting(f"socket to {server.address} was never closed.*{__file__}:{line}$"):
                socket = None
            assert (await peer.receive_until_end())[1] == "reset"


async def test_a_connecting_socket_that_is_forgotten_stops_connecting() -> None:
    """K13: the dial is cancelled."""
    dialer = MemoryDialer()
    dialer.hang()
    socket: Socket | None = connect("db.example:1", dialer=dialer)
    await asyncio.sleep(0)
    assert len(dialer.requests) == 1
    async with forgetting("db.example:1 was never closed"):
        socket = None
    assert socket is None


@pytest.mark.parametrize(
    "take",
    [
        lambda socket: socket.readable,
        lambda socket: socket.writable,
        lambda socket: socket.readable.get_reader(),
        lambda socket: socket.writable.get_writer(),
        lambda socket: socket.readable.tee()[1],
    ],
    ids=["readable", "writable", "reader", "writer", "tee"],
)
async def test_a_stream_keeps_its_socket(take: Any) -> None:
    """K13: as long as there is a way to use it, it is used."""
    with RawServer() as server:
        socket: Socket | None = connect(server.address)
        async with await server.accept() as peer:
            assert socket is not None
            await socket.opened
            channel = socket._channel
            kept = take(socket)
            async with no_warning():
                socket = None
            await peer.send(b"x")
            assert not channel.closed.done()
            async with forgetting("never closed"):
                del kept
            assert channel.closed.done()


async def read_once(address: str) -> bytes:
    return await connect(address).readable.read()


async def open_once(address: str) -> str:
    return (await connect(address).opened).remote_address


async def answer(server: RawServer, data: bytes) -> str:
    """Send ``data`` on the next connection and return how it ends."""
    async with await server.accept() as peer:
        gc.collect()
        if data:
            await peer.send(data)
        end = await peer_gone(peer)
        await collect()
        return end


async def peer_gone(peer: RawPeer) -> str:
    return (await peer.receive_until_end())[1]


async def read_on(address: str, has_read: asyncio.Event) -> None:
    socket = connect(address)
    while await socket.readable.read():
        has_read.set()


async def test_a_pending_read_keeps_its_socket() -> None:
    """K13: nobody has the socket, but somebody waits for its bytes; after that it is forgotten."""
    with RawServer() as server:
        reading = asyncio.create_task(read_once(server.address))
        with pytest.warns(ResourceWarning, match="never closed"):
            assert await answer(server, b"x") == "reset"
        assert await reading == b"x"


async def test_the_socket_of_a_cancelled_read_is_forgotten_without_the_collector() -> None:
    """K13: a handler is cancelled, and the peer learns of it at once, not when a garbage collector happens to run."""
    with RawServer() as server:
        has_read = asyncio.Event()
        reading = asyncio.create_task(read_on(server.address, has_read))
        async with await server.accept() as peer:
            await peer.send(b"x")
            await has_read.wait()
            gc.disable()
            try:
                with pytest.warns(ResourceWarning, match="never closed"):  # noqa: PT031 - forgetting is what warns
                    reading.cancel()
                    with pytest.raises(asyncio.CancelledError) as caught:
                        await reading
                    del reading, caught
                    assert await peer_gone(peer) == "reset"
            finally:
                gc.enable()


async def test_waiting_for_opened_keeps_its_socket() -> None:
    """K13: ``await connect(address).opened`` answers, and then the socket is forgotten."""
    with RawServer() as server:
        opening = asyncio.create_task(open_once(server.address))
        with pytest.warns(ResourceWarning, match="never closed"):
            assert await answer(server, b"") == "reset"
        assert await opening == server.address


async def test_a_closed_socket_is_forgotten_silently() -> None:
    """K13: after ``close()``, ``abort()``, a failure or the peer's end there is nothing to warn about."""
    with RawServer() as server, refusing_address() as nobody:
        for end in ("close", "abort", "peer", "failure"):
            socket: Socket | None = connect(nobody if end == "failure" else server.address)
            assert socket is not None
            async with no_warning():
                if end == "failure":
                    with pytest.raises(ConnectionError):
                        await socket.opened
                else:
                    async with await server.accept() as peer:
                        await socket.opened
                        await finish(socket, end, peer)
                socket = None


async def finish(socket: Socket, how: str, peer: Any) -> None:
    if how == "close":
        await socket.close()
    elif how == "abort":
        socket.abort()
    else:
        await peer.send_eof()
        assert await socket.readable.read() == b""
        await socket.closed


async def test_close_goes_on_without_anybody() -> None:
    """K8: ``close()`` that is not awaited still flushes."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket: Socket | None = connect(server.address, high_water_mark=16 << 20)
        async with await server.accept() as peer:
            assert socket is not None
            await socket.opened
            await socket.writable.write(bytes(8 << 20))
            socket.close()
            async with no_warning():
                socket = None
            data, end = await peer.receive_until_end()
            assert (len(data), end) == (8 << 20, "eof")


async def test_an_upgraded_socket_is_kept_by_the_new_one_only(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: forgetting the old one is no loss."""
    with RawServer() as server:
        socket: Socket | None = connect(server.address, secure_transport="starttls", tls=client_tls)
        async with await server.accept() as peer:
            assert socket is not None
            secure = socket.start_tls()
            async with no_warning():
                socket = None
            async with ending(secure):
                serving = asyncio.create_task(serve_pings(peer, server_ssl_context))
                await secure.writable.write(b"ping\n")
                assert await secure.readable.read() == b"pong\n"
                await serving


async def test_a_forgotten_upgrade_is_named_by_its_own_line(client_tls: TlsOptions) -> None:
    """K13: the line is that of ``start_tls()``."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="starttls", tls=client_tls)
        async with await server.accept() as peer:
            line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
            secure: Socket | None = socket.start_tls()
            await peer.receive()
            assert secure is not None
            async with forgetting(f"{__file__}:{line}$"):
                secure = None
            assert (await peer.receive_until_end())[1] == "reset"
