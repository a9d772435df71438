"""``node:net``, section 3.6 of docs/conformance.md: connecting."""

from __future__ import annotations

import asyncio
import os
import socket as system
from typing import Any

import pytest

from longshore import (
    AbortController,
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    DirectDialer,
    connect,
)
from longshore.testing import MemoryDialer, StaticResolver
from tests.loopback import linked, outcome
from tests.testing.raw import RawServer


async def test_a_wrong_address_is_one_error_and_no_socket() -> None:
    """K1: ``connect()`` raises by itself; nothing is connected later."""
    with pytest.raises(ArgumentValueError, match="invalid address"):
        connect(("invalid address", 80))


async def test_a_signal_aborted_before_connect() -> None:
    """K8: the socket is over at once; the signal's reason is the error's."""
    controller = AbortController()
    controller.abort("no need")
    with RawServer() as server:
        socket = connect(server.address, signal=controller.signal)
        error = await outcome(socket.opened)
        assert isinstance(error, ClosedError)
        assert error.reason == "no need"
        assert await outcome(socket.closed) is error


async def test_a_signal_aborted_right_after_connect() -> None:
    """K8: abort in the same turn: nothing was connected."""
    controller = AbortController()
    with RawServer() as server:
        socket = connect(server.address, signal=controller.signal)
        controller.abort()
        assert isinstance(await outcome(socket.closed), ClosedError)
        with pytest.raises(BlockingIOError):
            server.sock.accept()


async def test_a_signal_aborted_a_turn_after_connect() -> None:
    """K8: abort while it connects or is just connected: ``closed`` rejects either way."""
    controller = AbortController()
    with RawServer() as server:
        socket = connect(server.address, signal=controller.signal)
        asyncio.get_running_loop().call_soon(controller.abort, "later")
        error = await outcome(socket.closed)
        assert isinstance(error, ClosedError)
        assert error.reason == "later"


async def test_abort_during_a_slow_lookup_never_connects() -> None:
    """K8: the name is asked for once, and its late answer is not used."""
    answer = asyncio.Event()
    with RawServer() as server:
        port = server.address.rpartition(":")[2]
        resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=answer)
        socket = connect(f"slow.example:{port}", dialer=DirectDialer(resolver=resolver))
        while not resolver.queries:
            await asyncio.sleep(0)
        socket.abort()
        answer.set()
        assert isinstance(await outcome(socket.closed), ClosedError)
        assert resolver.queries == (("slow.example", int(port)),)
        with pytest.raises(BlockingIOError):
            server.sock.accept()


async def test_abort_right_after_connect() -> None:
    """K6: ``opened`` never resolves, ``closed`` rejects, nothing else is needed."""
    with RawServer() as server:
        socket = connect(server.address)
        socket.abort()
        assert isinstance(await outcome(socket.opened), ClosedError)
        assert isinstance(await outcome(socket.closed), ClosedError)


async def test_close_right_after_connect() -> None:
    """K8: ``closed`` resolves, because that is what was asked for."""
    with RawServer() as server:
        socket = connect(server.address)
        await socket.close()
        assert isinstance(await outcome(socket.opened), ClosedError)


async def test_no_delay_and_keep_alive_reach_the_kernel() -> None:
    """K1: they are options of ``connect()``, and no setters without effect."""
    async with linked(no_delay=False, keep_alive_s=30) as (socket, _):
        stream = socket._channel.stream
        assert stream is not None
        with system.socket(fileno=os.dup(stream.fileno())) as same:
            assert same.getsockopt(system.IPPROTO_TCP, system.TCP_NODELAY) == 0
            assert same.getsockopt(system.SOL_SOCKET, system.SO_KEEPALIVE) == 1
            assert same.getsockopt(system.IPPROTO_TCP, system.TCP_KEEPIDLE) == 30


async def test_connect_without_an_address_is_a_type_error() -> None:
    """K1: the argument is required."""
    with pytest.raises(TypeError):
        connect()  # type: ignore[call-arg]  # that is the point


@pytest.mark.parametrize("option", ["fd", "path", "objectMode", "family", "lookup", "autoSelectFamily"])
async def test_an_option_we_do_not_have_is_refused(option: str) -> None:
    """K1: it is never ignored silently."""
    with pytest.raises(ArgumentTypeError, match=f"{option}.*is unknown"):
        connect("localhost:80", {option: 1})


WRONG_TYPES: list[Any] = [None, [], {}, (), 1.5, True, "80", b"80", ""]


@pytest.mark.parametrize(
    ("port", "error"),
    [
        *((value, ArgumentTypeError) for value in WRONG_TYPES),
        *((value, ArgumentValueError) for value in (-1, 0, 65536, 65537)),
    ],
)
async def test_a_port_of_a_wrong_type_or_range_is_refused(port: Any, error: type[Exception]) -> None:
    """K3: by its type or by its range, and the message shows it."""
    with pytest.raises(error, match="port"):
        connect({"hostname": "localhost", "port": port})


async def test_abort_of_an_unconnected_socket_is_a_closed_error() -> None:
    """K8: there is nothing to reset; the error says that this side ended it."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    reading = asyncio.create_task(anext(socket.readable))
    await asyncio.sleep(0)
    socket.abort("changed my mind")
    with pytest.raises(ClosedError, match="changed my mind"):
        await reading
    assert isinstance(await outcome(socket.closed), ClosedError)


async def test_a_resolver_of_ones_own_is_asked() -> None:
    """K4: with the name and the port, once."""
    with RawServer() as server:
        port = int(server.address.rpartition(":")[2])
        resolver = StaticResolver({"custom.example": ["127.0.0.1"]})
        async with connect(("custom.example", port), dialer=DirectDialer(resolver=resolver)) as socket:
            assert (await socket.opened).remote_address == server.address
        assert resolver.queries == (("custom.example", port),)


async def test_stars_are_no_host_name() -> None:
    """K3: 64 times '*' is refused at the call, not handed to the resolver."""
    resolver = StaticResolver({})
    with pytest.raises(ArgumentValueError, match=r"'\*' in its hostname"):
        connect(("*" * 64, 80), dialer=DirectDialer(resolver=resolver))
    assert resolver.queries == ()


async def test_a_literal_is_not_looked_up() -> None:
    """K3: 127.0.0.1 is connected as it is."""
    resolver = StaticResolver({})
    with RawServer() as server:
        async with connect(server.address, dialer=DirectDialer(resolver=resolver)) as socket:
            assert (await socket.opened).timings.dns_s is None
    assert resolver.queries == ()


async def test_ending_a_socket_that_never_connects() -> None:
    """K6: the queued end is given up with the connect."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer)
    closing = asyncio.create_task(socket.writable.close())
    await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await socket.writable.write(b"after the end")
    await socket.close()
    with pytest.raises(ClosedError):
        await closing


async def test_the_local_address_can_be_chosen() -> None:
    """K1: ``local_address`` is bound before connecting, and ``opened`` tells what it became."""
    async with linked(local_address=("127.0.0.9", 0)) as (socket, peer):
        assert peer.sock.getpeername()[0] == "127.0.0.9"
        assert (await socket.opened).local_address == "{}:{}".format(*peer.sock.getpeername())


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("127.0.0.1", ArgumentTypeError),
        (("127.0.0.1",), ArgumentTypeError),
        (("127.0.0.1", "0"), ArgumentTypeError),
        (("localhost", 0), ArgumentValueError),
        (("127.0.0.1", -1), ArgumentValueError),
        (("127.0.0.1", 65536), ArgumentValueError),
    ],
)
async def test_a_wrong_local_address_is_refused(value: Any, error: type[Exception]) -> None:
    """K1: at the call, and named."""
    with pytest.raises(error, match="local_address"):
        connect("localhost:80", local_address=value)


async def test_fifty_one_connections_in_a_row() -> None:
    """K13: each is opened, greeted and ended; none leaves anything."""
    with RawServer() as server:
        for _ in range(51):
            socket = connect(server.address)
            async with await server.accept() as peer:
                await peer.send(b"hello\r\n")
                await peer.send_eof()
                assert b"".join([chunk async for chunk in socket.readable]) == b"hello\r\n"
                await socket.closed


async def test_nobody_needs_to_wait_for_opened() -> None:
    """K1: reading works without it, and ``opened.done()`` is the flag."""
    with RawServer() as server:
        socket = connect(server.address)
        assert not socket.opened.done()
        async with await server.accept() as peer, socket:
            await peer.send(b"hello")
            assert await socket.readable.read() == b"hello"
            assert socket.opened.done()


@pytest.mark.parametrize("value", ["100", b"1", [], {}, True, -1, 0, float("nan"), float("inf")])
async def test_a_wrong_timeout_is_refused(value: Any) -> None:
    """K1: a bound is a number of seconds above 0, or None for none."""
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="connect_timeout_s"):
        connect("localhost:80", connect_timeout_s=value)
