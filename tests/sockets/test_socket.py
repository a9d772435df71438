"""``Socket``: how it fails and how it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    AbortController,
    AbortSignal,
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    ConnectTimeout,
    ResetError,
    Socket,
    SocketError,
    TlsError,
    TlsOptions,
    UsageError,
    connect,
)
from longshore.testing import MemoryDialer
from tests.conformance.starttls_server import serve_pings
from tests.loopback import black_hole, ending, linked, linked_tls, outcome, refusing_address
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine

    Reading = Callable[[Socket], Coroutine[Any, Any, object]]

# -- K5: failure is never end-of-file ------------------------------------------------------------


async def iterate(socket: Socket) -> list[bytes]:
    return [chunk async for chunk in socket.readable]


async def iterate_reader(socket: Socket) -> list[bytes]:
    return [chunk async for chunk in socket.readable.get_reader()]


READINGS: dict[str, Reading] = {
    "read": lambda socket: socket.readable.read(),
    "read_into": lambda socket: socket.readable.read_into(bytearray(16)),
    "reader": lambda socket: socket.readable.get_reader().read(),
    "async for": iterate,
    "async for over a reader": iterate_reader,
    "reader.closed": lambda socket: wait_for(socket.readable.get_reader().closed),
}


async def wait_for(promise: Any) -> object:
    return await promise


each_reading = pytest.mark.parametrize("read", READINGS.values(), ids=READINGS.keys())


@each_reading
async def test_a_refused_connect_raises_whoever_reads(read: Reading) -> None:
    """K5: never an empty stream that ended well."""
    with refusing_address() as address:
        socket = connect(address)
        with pytest.raises(ConnectionError):
            await read(socket)


@each_reading
async def test_a_reset_raises_whoever_reads(read: Reading) -> None:
    """K5: after what had arrived there is no end-of-file."""
    async with linked() as (socket, peer):
        peer.abort()
        with pytest.raises(ResetError):
            await read(socket)
        assert isinstance(await outcome(socket.closed), ResetError)


@each_reading
async def test_a_failed_handshake_raises_whoever_reads(read: Reading, client_tls: TlsOptions) -> None:
    """K5: the peer speaks no TLS."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        async with await server.accept() as peer:
            await peer.send(b"220 mail.example ESMTP\r\n")
            with pytest.raises(TlsError, match="does not speak TLS"):
                await read(socket)


@each_reading
async def test_a_truncated_stream_raises_whoever_reads(
    read: Reading, client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K5: TCP's end without close_notify."""
    async with linked_tls(client_tls, server_ssl_context) as (socket, peer):
        await peer.raw.send_eof()
        with pytest.raises(TlsError, match="without close_notify"):
            await read(socket)


async def test_the_peers_alert_is_in_the_error(client_tls: TlsOptions, server_ssl_context: ssl.SSLContext) -> None:
    """K5: a server that wants TLS 1.3 only refuses a client that has 1.2 only, and says so."""
    del server_ssl_context
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        async with await server.accept() as peer:
            await peer.receive()
            await peer.send(b"\x15\x03\x03\x00\x02\x02\x28")  # fatal handshake_failure
            with pytest.raises(TlsError) as caught:
                await socket.opened
            assert caught.value.alert == "handshake_failure"
            assert "handshake_failure" in str(caught.value)


async def test_bytes_before_a_reset_can_be_read_unless_the_kernel_dropped_them() -> None:
    """K5: whatever is read, the end is the error."""
    async with linked() as (socket, peer):
        await peer.send(b"last words")
        assert await socket.readable.read(4) == b"last"
        peer.abort()
        with pytest.raises(ResetError):
            await iterate(socket)


async def test_writing_to_a_reset_connection_raises() -> None:
    """K5: also when nobody read before."""
    async with linked() as (socket, peer):
        peer.abort()
        assert isinstance(await outcome(socket.closed), ResetError)
        with pytest.raises(ResetError):
            await socket.writable.write(b"lost")
        with pytest.raises(ResetError):
            await socket.writable.close()


# -- K6: opened and closed settle ----------------------------------------------------------------


async def test_errors_nobody_looks_at_are_not_logged() -> None:
    """K6: this test fails if the loop hears of "exception was never retrieved"."""
    with refusing_address() as address:
        socket = connect(address)
        with pytest.raises(ConnectionError):
            await socket.readable.read()
        del socket


async def test_opened_and_closed_have_the_interface_of_a_promise() -> None:
    """K6: ``done()``, ``result()``, ``exception()``, before and after."""
    async with linked() as (socket, _):
        assert socket.opened.done()
        assert socket.opened.result() is await socket.opened
        assert socket.opened.exception() is None
        for method in (socket.closed.result, socket.closed.exception):
            with pytest.raises(asyncio.InvalidStateError, match="not settled"):
                method()
        socket.abort("why not")
        error = socket.closed.exception()
        assert isinstance(error, ClosedError)
        with pytest.raises(ClosedError):
            socket.closed.result()


async def test_cancelling_who_waits_for_closed_does_not_touch_the_socket() -> None:
    """K13: the waiting task is cancelled, nobody else."""
    async with linked() as (socket, peer):
        waiting = asyncio.create_task(wait_for(socket.closed))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await peer.send(b"alive")
        assert await socket.readable.read() == b"alive"


# -- K7: the peer's end --------------------------------------------------------------------------


async def test_a_reset_behind_unread_bytes_is_noticed() -> None:
    """K7: nobody reads, and the socket still learns that it is over."""
    async with linked() as (socket, peer):
        await peer.send(b"nobody reads this")
        await socket.writable.write(b"ping")
        assert await peer.receive_exactly(4) == b"ping"
        peer.abort()
        assert isinstance(await outcome(socket.closed), ResetError)


async def test_a_reset_is_noticed_when_nobody_reads() -> None:
    """K7: the same without unread bytes."""
    async with linked() as (socket, peer):
        peer.abort()
        assert isinstance(await outcome(socket.closed), ResetError)


# -- K8: close and abort -------------------------------------------------------------------------


async def test_close_flushes_what_was_written() -> None:
    """K8: 4 MiB are in the queue when it is called; the peer gets them and a FIN."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=8 << 20)
        async with await server.accept() as peer:
            await socket.writable.write(bytes(4 << 20))
            await socket.opened
            closing = socket.close()
            data, end = await peer.receive_until_end()
            assert (len(data), end) == (4 << 20, "eof")
            await closing


async def test_close_is_idempotent_and_is_closed() -> None:
    """K8: every call returns the one promise; the first reason counts."""
    async with linked() as (socket, _):
        first, second = socket.close("first"), socket.close("second")
        assert first is second is socket.closed
        await first
        assert socket.close() is first
        with pytest.raises(ClosedError, match="first"):
            await socket.readable.read()


async def test_close_after_a_failure_raises_the_failure() -> None:
    """K8: it does not hide how the socket ended."""
    with refusing_address() as address:
        socket = connect(address)
        error = await outcome(socket.closed)
        with pytest.raises(ConnectionError) as caught:
            await socket.close()
        assert caught.value is error


@pytest.mark.parametrize(("value", "error"), [("soon", ArgumentTypeError), (True, ArgumentTypeError)])
async def test_close_refuses_a_wrong_timeout_type(value: Any, error: type[Exception]) -> None:
    """K8: and nothing has changed then."""
    async with linked() as (socket, peer):
        with pytest.raises(error, match="timeout_s"):
            socket.close(timeout_s=value)
        await socket.writable.write(b"open")
        assert await peer.receive_exactly(4) == b"open"


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 10**400])
async def test_close_refuses_a_wrong_timeout_value(value: Any) -> None:
    """K8: and nothing has changed then."""
    async with linked() as (socket, peer):
        with pytest.raises(ArgumentValueError, match="timeout_s"):
            socket.close(timeout_s=value)
        await socket.writable.write(b"open")
        assert await peer.receive_exactly(4) == b"open"


async def test_close_may_wait_for_no_time_or_for_ever() -> None:
    """K8: 0 resets what cannot be sent at once; None waits."""
    with RawServer(receive_buffer_bytes=4096) as server:
        for timeout_s, expected in ((0, "reset"), (None, "eof")):
            socket = connect(server.address, high_water_mark=64 << 20)
            async with await server.accept() as peer, ending(socket):
                await socket.opened
                await socket.writable.write(bytes(16 << 20))
                closing = socket.close(timeout_s=timeout_s)
                if expected == "reset":
                    assert isinstance(await outcome(closing), ClosedError)
                assert (await peer.receive_until_end())[1] == expected
                await outcome(closing)


async def test_close_while_the_dialer_hangs_ends_it() -> None:
    """K8: the dial is cancelled; early bytes are given up, and everybody is told."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    writer = socket.writable.get_writer()
    await writer.write(b"early")
    for promise in (socket.close(), socket.opened, writer.closed):
        assert isinstance(await outcome(promise), ClosedError)
    assert "5 written bytes were never sent" in str(socket.closed.exception())


async def test_abort_is_synchronous() -> None:
    """K8: when it returns, ``closed`` is settled and the peer gets a RST."""
    async with linked() as (socket, peer):
        socket.abort()
        assert socket.closed.done()
        assert (await peer.receive_until_end())[1] == "reset"


async def test_abort_ends_a_close_that_flushes() -> None:
    """K8: abort wins over close."""
    with RawServer(receive_buffer_bytes=4096) as server:
        socket = connect(server.address, high_water_mark=64 << 20)
        async with await server.accept() as peer, ending(socket):
            await socket.opened
            await socket.writable.write(bytes(32 << 20))
            closing = socket.close()
            socket.abort("no patience")
            with pytest.raises(ClosedError, match="no patience"):
                await closing
            assert (await peer.receive_until_end())[1] == "reset"


async def test_async_with_closes() -> None:
    """K8: an orderly end at the end of the block."""
    with RawServer() as server:
        socket = connect(server.address)
        async with await server.accept() as peer:
            async with socket:
                await socket.opened
                await socket.writable.write(b"bye")
            assert socket.closed.done()
            assert await peer.receive_until_end() == (b"bye", "eof")


async def test_async_with_waits_for_the_connection_when_something_was_written() -> None:
    """K2: a block that writes and ends does not lose its bytes."""
    with RawServer() as server:
        async with connect(server.address) as socket:
            await socket.writable.write(b"early")
            assert not socket.opened.done()
        async with await server.accept() as peer:
            assert await peer.receive_until_end() == (b"early", "eof")


async def test_async_with_does_not_tell_an_error_twice() -> None:
    """K6: what a call in the block has raised, and the block has handled, is over."""
    with refusing_address() as address:
        async with connect(address) as socket:
            with pytest.raises(ConnectionError):
                await socket.readable.read()


async def test_async_with_tells_an_error_nobody_has_seen() -> None:
    """K5: the end of the block is the last chance."""
    with refusing_address() as address:
        socket = connect(address)
        with pytest.raises(ConnectionError):
            await stay_inside(socket)


async def stay_inside(socket: Socket) -> None:
    async with socket:
        while not socket.closed.done():
            await asyncio.sleep(0)


async def test_async_with_aborts_when_an_exception_leaves() -> None:
    """K8: the peer must not take an accident for a clean end."""
    with RawServer() as server:
        socket = connect(server.address)
        async with await server.accept() as peer:
            with pytest.raises(ZeroDivisionError):
                await fail_inside(socket)
            assert (await peer.receive_until_end())[1] == "reset"
            error = await outcome(socket.closed)
            assert isinstance(error, ClosedError)
            assert isinstance(error.reason, ZeroDivisionError)
            assert error.__cause__ is error.reason


async def fail_inside(socket: Socket) -> None:
    async with socket:
        await socket.opened
        raise ZeroDivisionError


async def test_async_with_leaves_an_upgraded_socket_alone(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K9: the connection belongs to the new socket."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="starttls", tls=client_tls)
        async with await server.accept() as peer:
            async with socket:
                secure = socket.start_tls()
            async with ending(secure):
                serving = asyncio.create_task(serve_pings(peer, server_ssl_context))
                await secure.writable.write(b"ping\n")
                assert await secure.readable.read() == b"pong\n"
                await serving


async def test_a_signal_aborts_an_open_socket() -> None:
    """K8: at any time; its reason is the error's."""
    controller = AbortController()
    async with linked(signal=controller.signal) as (socket, peer):
        controller.abort("stop")
        error = await outcome(socket.closed)
        assert isinstance(error, ClosedError)
        assert error.reason == "stop"
        assert (await peer.receive_until_end())[1] == "reset"


async def test_a_signal_with_a_timeout_ends_a_hanging_connect() -> None:
    """K8: the reason, a ``TimeoutError``, is the cause."""
    with black_hole() as address:
        socket = connect(address, signal=AbortSignal.timeout(0.02), connect_timeout_s=None)
        error = await outcome(socket.opened)
        assert isinstance(error, ClosedError)
        assert isinstance(error.__cause__, TimeoutError)
        await outcome(socket.closed)


async def test_every_error_is_a_socket_error() -> None:
    """K5: one ``except`` catches whatever ends a socket."""
    for error in (ClosedError, ConnectTimeout, ResetError, TlsError, UsageError):
        assert issubclass(error, SocketError)
