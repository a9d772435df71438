"""User code that runs in the middle of an event meets a socket whose state is already the new one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import AbortController, AbortSignal, ClosedError, ConnectTimeout, ResetError, SocketError, connect
from tests.loopback import linked, outcome, refusing_address
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl

    from longshore import Socket, TlsOptions


async def test_an_echo_pipe_that_breaks_leaves_its_task_alone() -> None:
    """K13: the pipe's own cancellation must not reach the caller's next await."""
    async with linked() as (socket, peer):
        piping = asyncio.ensure_future(broken_echo(socket))
        await asyncio.sleep(0)
        peer.abort()
        assert await piping == 0


async def write_for_ever(socket: Socket, data: bytes) -> None:
    while True:
        await socket.writable.write(data)
        await asyncio.sleep(0)


async def broken_echo(socket: Socket) -> int:
    with pytest.raises(SocketError):
        await socket.readable.pipe_to(socket.writable)
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_one_signal_for_the_socket_and_its_pipe() -> None:
    """K13: the abort is told once to each, and the task goes on."""
    controller = AbortController()
    async with linked(signal=controller.signal) as (socket, _), linked() as (other, _):

        async def pipe() -> None:
            with pytest.raises(SocketError):
                await socket.readable.pipe_to(other.writable, signal=controller.signal)
            await asyncio.sleep(0)

        piping = asyncio.ensure_future(pipe())
        await asyncio.sleep(0)
        controller.abort("enough")
        await piping


async def test_a_combined_signal_does_not_stay_with_its_parts() -> None:
    controller = AbortController()
    for _ in range(100):
        AbortSignal.any(controller.signal)
    assert len(controller.signal._callbacks) == 0


async def test_a_fin_is_noticed_though_the_read_is_cancelled_in_the_same_turn() -> None:
    """K7: the reader was woken for an end that it never looked at."""
    async with linked() as (socket, peer):
        reading = asyncio.ensure_future(socket.readable.read())
        await asyncio.sleep(0)
        await peer.send_eof()
        asyncio.get_running_loop().call_soon(reading.cancel)
        await asyncio.wait([reading])
        await socket.closed


async def test_close_notify_behind_data_is_noticed_though_nobody_reads(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K7: it came in the same segment, and the kernel will not tell of it again."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        async with await server.accept() as raw:
            peer = TlsPeer(raw, server_ssl_context)
            await peer.handshake()
            await socket.opened
            await raw.send(peer.engine.records(b"data") + peer.engine.close_notify())
            assert await socket.readable.read() == b"data"
            await socket.closed


async def test_a_callback_that_raises_does_not_stop_the_socket() -> None:
    """K6: ``closed`` settles all the same, and the loop's handler is told."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    with refusing_address() as nobody:
        socket = connect(nobody)
        socket.opened.add_done_callback(lambda _: 1 / 0)
        assert isinstance(await outcome(socket.closed), ConnectionError)
        await asyncio.sleep(0)
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_the_error_of_the_connection_wins_over_what_its_writer_does_about_it() -> None:
    """K6: a parked writer that aborts the socket on its way out does not change what ended it."""
    async with linked(high_water_mark=1) as (socket, peer):

        async def write() -> None:
            with pytest.raises(SocketError):
                await write_for_ever(socket, bytes(1 << 20))
            socket.abort("on the way out")

        writing = asyncio.ensure_future(write())
        while not socket._channel.writing.is_pending:
            await asyncio.sleep(0)
        peer.abort()
        await writing
        assert isinstance(await outcome(socket.closed), ResetError)


async def test_the_reason_of_the_signal_is_what_closed_tells() -> None:
    """K8: also when the reader's ``async with`` aborts the socket once more."""
    controller = AbortController()
    async with linked(signal=controller.signal) as (socket, _):

        async def read() -> None:
            with pytest.raises(ClosedError):
                async with socket:
                    await socket.readable.read()

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        controller.abort("the reason")
        await reading
        error = await outcome(socket.closed)
        assert isinstance(error, ClosedError)
        assert error.reason == "the reason"


async def test_start_tls_is_bounded_while_it_flushes(client_tls: TlsOptions) -> None:
    """K9: a peer that does not read cannot hold it up for ever."""
    async with linked(secure_transport="starttls", tls=client_tls, high_water_mark=64 << 20) as (socket, _):
        await socket.writable.write(bytes(32 << 20))
        secure = socket.start_tls(timeout_s=0.05)
        error = await outcome(secure.opened)
        assert isinstance(error, ConnectTimeout)
        assert "was flushed" in str(error)
        await outcome(secure.closed)


async def test_a_block_that_was_told_releases_the_descriptor() -> None:
    """K13: also when bytes are left that nobody will read."""
    async with linked() as (socket, peer):
        async with socket:
            await peer.send(b"unread")
            while socket._channel.stream is None or socket._channel.stream.peek() is not True:
                await asyncio.sleep(0)
            peer.abort()
            stream = socket._channel.stream
            with pytest.raises(SocketError):
                await write_for_ever(socket, b"x")
        assert stream.fileno() == -1
