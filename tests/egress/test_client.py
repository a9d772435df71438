"""Tests of ``longshore.egress.client``: against a scripted egress process, at all the wrong moments."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore.abc import Connection
from longshore.core.info import SocketInfo
from longshore.core.tls_options import TlsRequest
from longshore.egress.client import BrokerDialer
from longshore.errors import ConnectError, ResetError, SocketError, UsageError
from longshore.net.channel import Channel
from longshore.net.fdpass import Outbox, close_all
from longshore.proto.ipc.egress import (
    CancelDial,
    Dial,
    Dialed,
    DialFailed,
    EndTunnel,
    HandshakeAsk,
    StartTls,
    TunnelEnded,
)
from longshore.proto.ipc.failure import Failure
from longshore.testing import StreamDriver, memory_stream_pair
from tests.egress.broker_rig import broker, request
from tests.sweep import MODES, Attempt, sweep
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.proto.ipc.messages import Message

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))


class Host:
    """The egress process, played by the test."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def asked(self) -> Any:
        """Return the next message; descriptors are closed."""
        received = await self.channel.receive()
        assert received is not None, "the worker has closed the channel"
        message, fds = received
        close_all(fds)
        return message

    def answer(self, message: Message, *, is_tunnel: bool = False) -> socket.socket:
        """Answer a dial with one end of a socket pair; return the other, for a test to close."""
        far, near = socket.socketpair()
        with near:
            number: int = message.dial_id  # type: ignore[union-attr]  # Dial or StartTls
            self.channel.send(
                Dialed(dial_id=number, remote_address="192.0.2.1:70", is_tunnel=is_tunnel), [near.fileno()]
            )
        far.setblocking(False)
        return far


@asynccontextmanager
async def played() -> AsyncIterator[tuple[BrokerDialer, Host]]:
    mine, its = socket.socketpair()
    host = Host(Channel(its))
    dialer = BrokerDialer(Channel(mine))
    try:
        yield dialer, host
    finally:
        await dialer.aclose()
        host.channel.close()


async def end_of(sock: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, 100)


async def test_a_dial_says_everything_that_was_asked_for() -> None:
    async with played() as (dialer, host):
        asked = request(
            "[::1]:70", timeout_s=2.5, no_delay=False, keep_alive_s=9.0, local_address=("::1", 0), binding="B",
            tls=TlsRequest("name.example", ("h2",), timeout_s=1.5),
        )  # fmt: skip
        dialing = asyncio.create_task(dialer.dial(asked))
        dial = await host.asked()
        assert dial == Dial(
            dial_id=1,
            address="[::1]:70",
            timeout_s=2.5,
            no_delay=False,
            keep_alive_s=9.0,
            local_address=("::1", 0),
            via="connect()",
            binding="B",
            tls=HandshakeAsk(server_name="name.example", alpn=("h2",), timeout_s=1.5),
        )
        host.channel.send(DialFailed(dial_id=1, failure=Failure(kind="UsageError", message="no")))
        with pytest.raises(UsageError, match=r"^no$"):
            await dialing


async def test_answers_find_who_asked() -> None:
    async with played() as (dialer, host):
        dialing = [asyncio.create_task(dialer.dial(request(f"name.example:{port}"))) for port in (1, 2, 3)]
        dials = [await host.asked() for _ in dialing]
        fars = [host.answer(dial) for dial in reversed(dials)]
        for far, dial in zip(fars, reversed(dials), strict=True):
            await asyncio.get_running_loop().sock_sendall(far, dial.address.encode())
        for port, task in zip((1, 2, 3), dialing, strict=True):
            driver = StreamDriver((await task).stream)
            assert await driver.receive() == f"name.example:{port}".encode()
            driver.close()
        for far in fars:
            far.close()


async def test_a_cancelled_dial_says_so_and_what_comes_late_is_closed() -> None:
    """K13."""
    async with played() as (dialer, host):
        dialing = asyncio.create_task(dialer.dial(request("name.example:1")))
        dial = await host.asked()
        dialing.cancel()
        await asyncio.wait([dialing])
        assert dialing.cancelled()
        assert await host.asked() == CancelDial(dial_id=dial.dial_id)
        with host.answer(dial) as far:
            assert await end_of(far) == b""
        with host.answer(dial, is_tunnel=True) as far:
            assert await end_of(far) == b""
        assert await host.asked() == EndTunnel(dial_id=dial.dial_id, step="abort")


@modes
@pytest.mark.parametrize("is_tunnel", [False, True])
async def test_cancellation_at_any_moment_leaves_no_descriptor(mode: str, is_tunnel: bool) -> None:
    """K13."""

    async def play(attempt: Attempt) -> None:
        async with played() as (dialer, host):

            async def serve() -> None:
                far = host.answer(await host.asked(), is_tunnel=is_tunnel)
                with far, contextlib.suppress(ConnectionResetError):
                    assert await end_of(far) == b""

            serving = asyncio.create_task(serve())
            connection = await attempt.run(dialer.dial(request("name.example:1")))
            if connection is not None:
                connection.stream.close()
            await serving

    assert await sweep(play, mode) >= 1


@modes
async def test_cancelling_an_upgrade_leaves_no_descriptor(mode: str) -> None:
    """K13."""

    async def play(attempt: Attempt) -> None:
        async with played() as (dialer, host):

            async def serve() -> None:
                with host.answer(await host.asked()) as plain:
                    asked = await host.asked()
                    if isinstance(asked, StartTls):
                        with host.answer(asked, is_tunnel=True) as far, contextlib.suppress(ConnectionResetError):
                            assert await end_of(far) == b""
                    assert await end_of(plain) == b""

            serving = asyncio.create_task(serve())
            connection = await dialer.dial(request("name.example:1", binding="B"))
            upgraded = await attempt.run(dialer.start_tls(connection, TlsRequest("x", binding="B")))
            if upgraded is not None:
                upgraded.stream.close()
            if not attempt.was_cancelled or attempt.number > 1:
                await serving
            else:
                serving.cancel()
                await asyncio.wait([serving])

    assert await sweep(play, mode) >= 1


# -- the egress process is gone --------------------------------------------------------------------


async def test_when_the_egress_process_is_gone_every_dial_fails_with_a_clear_error() -> None:
    async with played() as (dialer, host):
        dialing = [asyncio.create_task(dialer.dial(request("name.example:1"))) for _ in range(3)]
        for _ in dialing:
            await host.asked()
        host.channel.close()
        for task in dialing:
            with pytest.raises(SocketError, match=r"^cannot connect: the egress process of the host is gone$"):
                await task
        with pytest.raises(SocketError, match="is gone"):
            await dialer.dial(request("name.example:1"))


async def test_garbage_is_the_end_of_the_channel() -> None:
    mine, its = socket.socketpair()
    dialer = BrokerDialer(Channel(mine))
    with its:
        dialing = asyncio.create_task(dialer.dial(request("name.example:1")))
        await asyncio.sleep(0)
        its.send(b"\xff" * 100)
        with pytest.raises(SocketError, match="is gone"):
            await dialing


async def test_connections_outlive_the_egress_process_and_tunnels_do_not() -> None:
    """K5: the end of a tunnel that nobody told is no end."""
    async with played() as (dialer, host):
        dialing = [asyncio.create_task(dialer.dial(request("name.example:1"))) for _ in range(2)]
        plain = host.answer(await host.asked())
        tunnel = host.answer(await host.asked(), is_tunnel=True)
        plain_driver, tunnel_driver = [StreamDriver((await task).stream) for task in dialing]
        host.channel.close()
        tunnel.close()
        with pytest.raises(ResetError, match="the egress process of the host is gone"):
            await tunnel_driver.receive()
        await asyncio.get_running_loop().sock_sendall(plain, b"still here")
        assert await plain_driver.receive() == b"still here"
        plain_driver.close()
        tunnel_driver.close()
        plain.close()


async def test_closing_says_what_is_still_to_be_said() -> None:
    async with played() as (dialer, host):
        dialing = asyncio.create_task(dialer.dial(request("name.example:1")))
        far = host.answer(await host.asked(), is_tunnel=True)
        connection = await dialing
        waiting = asyncio.create_task(dialer.dial(request("name.example:2")))
        await asyncio.sleep(0)
        connection.stream.close()
        await dialer.aclose()
        with pytest.raises(SocketError, match="the worker ends"):
            await waiting
        assert isinstance(await host.asked(), Dial)
        assert await host.asked() == EndTunnel(dial_id=1, step="close")
        far.close()


# -- tunnels ---------------------------------------------------------------------------------------


async def test_the_end_of_a_tunnel_is_what_was_told() -> None:
    async with played() as (dialer, host):
        dialing = asyncio.create_task(dialer.dial(request("name.example:1")))
        with host.answer(await host.asked(), is_tunnel=True) as far:
            connection = await dialing
            assert connection.info.remote_address == "192.0.2.1:70"
            driver = StreamDriver(connection.stream)
            far.send(b"all")
            far.shutdown(socket.SHUT_WR)
            assert await driver.receive() == b"all"
            receiving = asyncio.create_task(driver.receive())
            for _ in range(20):
                await asyncio.sleep(0)
            assert not receiving.done(), "end-of-file on the descriptor says nothing"
            host.channel.send(TunnelEnded(dial_id=1))
            assert await receiving == b""
            host.channel.send(TunnelEnded(dial_id=1))  # nobody's
            driver.close()
            assert await host.asked() == EndTunnel(dial_id=1, step="close")


async def test_a_failure_of_a_tunnel_is_raised() -> None:
    async with played() as (dialer, host):
        dialing = asyncio.create_task(dialer.dial(request("name.example:1")))
        with host.answer(await host.asked(), is_tunnel=True) as far:
            driver = StreamDriver((await dialing).stream)
            host.channel.send(TunnelEnded(dial_id=1, failure=Failure(kind="ResetError", message="it broke")))
            far.close()
            with pytest.raises(ResetError, match="it broke"):
                await driver.receive()
            driver.close()


async def test_only_a_plain_connection_is_upgraded_by_the_host() -> None:
    async with played() as (dialer, _):
        near, far = memory_stream_pair()
        connection = Connection(near, SocketInfo("192.0.2.1:70"))
        with pytest.raises(UsageError, match="needs a plain connection that was dialed with the binding"):
            await dialer.start_tls(connection, TlsRequest("x", binding="B"))
        far.close()


# -- other loops -----------------------------------------------------------------------------------


async def in_a_thread(work: Any) -> Any:
    """Run ``asyncio.run(work())`` in a thread, as WSGI applications do."""
    return await asyncio.to_thread(lambda: asyncio.run(work()))


async def test_other_loops_of_the_process_connect_too() -> None:
    with RawServer() as server:
        async with broker() as (dialer, rig):

            async def exchange() -> bytes:
                connection = await dialer.dial(request(server.address))
                driver = StreamDriver(connection.stream)
                await driver.send(b"ping")
                received = await driver.receive()
                driver.close()
                with pytest.raises(ConnectError, match="refused"):
                    await dialer.dial(request("127.0.0.1:1"))
                return received

            exchanging = asyncio.create_task(in_a_thread(exchange))
            async with await server.accept() as peer:
                assert await peer.receive() == b"ping"
                await peer.send(b"pong")
                assert await exchanging == b"pong"
            assert rig.events() == ["open", "fail"]


async def test_tunnels_work_in_other_loops() -> None:
    async with played() as (dialer, host):
        is_read = threading.Event()

        async def exchange() -> list[bytes]:
            connection = await dialer.dial(request("name.example:1"))
            driver = StreamDriver(connection.stream)
            received = [await driver.receive()]
            is_read.set()
            received.append(await driver.receive())
            driver.close()
            return received

        exchanging = asyncio.create_task(in_a_thread(exchange))
        with host.answer(await host.asked(), is_tunnel=True) as far:
            far.send(b"all")
            await asyncio.to_thread(is_read.wait)
            far.shutdown(socket.SHUT_WR)
            host.channel.send(TunnelEnded(dial_id=1))
            assert await exchanging == [b"all", b""]
            assert await host.asked() == EndTunnel(dial_id=1, step="close")


async def test_a_dial_that_another_loop_cancels_leaves_nothing() -> None:
    async with played() as (dialer, host):
        has_asked, may_end = threading.Event(), threading.Event()

        async def give_up() -> bool:
            task = asyncio.create_task(dialer.dial(request("name.example:1")))
            await asyncio.to_thread(has_asked.wait)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        giving_up = asyncio.create_task(in_a_thread(give_up))
        dial = await host.asked()
        has_asked.set()
        assert await giving_up
        assert await host.asked() == CancelDial(dial_id=dial.dial_id)
        with host.answer(dial) as far:
            assert await end_of(far) == b""
        may_end.set()


async def test_a_descriptor_that_cannot_be_passed_is_an_error_of_that_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    async with played() as (dialer, host):
        dialing = asyncio.create_task(dialer.dial(request("name.example:1", binding="B")))
        with host.answer(await host.asked()) as far:
            connection = await dialing

            def refuse(*_: object) -> bool:
                raise OSError(errno.EBADF, "Bad file descriptor")

            with monkeypatch.context() as patched:
                patched.setattr(Outbox, "send_first", refuse)
                with pytest.raises(OSError, match="Bad file descriptor"):
                    await dialer.start_tls(connection, TlsRequest("x", binding="B"))
            assert await end_of(far) == b""


async def test_a_forked_process_is_told_that_nobody_answers_it() -> None:
    """Its copy of the worker's loop does not turn: without a word it would wait for ever."""
    async with broker() as (dialer, _):
        loop = asyncio.get_running_loop()

        def dial_elsewhere() -> str:
            dialer._pid = -1  # as if this were another process
            try:
                asyncio.run(dialer.dial(request("127.0.0.1:1")))
            except SocketError as exc:
                return exc.message
            return ""

        assert "forked from the worker" in await loop.run_in_executor(None, dial_elsewhere)
