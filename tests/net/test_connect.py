"""Tests of ``longshore.net.connect``: one attempt, and the race of several (RFC 8305, rules K13 and K14)."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.net import connect as connect_module
from longshore.net.connect import connect_one, format_address, race
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address

    from longshore.errors import ConnectAttempt

HOME = ip_address("127.0.0.1")


def request_for(address: str, **options: object) -> DialRequest:
    return DialRequest(SocketAddress.parse(address), **options)  # type: ignore[arg-type]  # each test knows its options


@contextmanager
def silent_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Give a port that takes no more connections and refuses none: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        yield address[1]


@contextmanager
def silent_and_listening(silent: str, listening: str) -> Iterator[int]:
    """Give a port that is silent on one address and accepts on another; not every port is free on both."""
    for _ in range(100):
        with ExitStack() as stack:
            port = stack.enter_context(silent_port(silent))
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((listening, port))
            except OSError:
                continue
            listener.listen()
            yield port
            return
    pytest.fail(f"found no port that is free on {silent} and {listening}")


@pytest.mark.parametrize(("text", "wanted"), [("192.0.2.1", "192.0.2.1:80"), ("2001:db8::1", "[2001:db8::1]:80")])
def test_addresses_are_written_as_they_are_read(text: str, wanted: str) -> None:
    assert format_address(ip_address(text), 80) == wanted


async def test_a_connection_has_the_options_of_the_request() -> None:
    with RawServer() as server:
        request = request_for(server.address, keep_alive_s=7.4, local_address=("127.0.0.1", 0))
        with await connect_one(HOME, request) as sock:
            assert sock.getblocking() is False
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
            assert sock.getpeername() == server.sock.getsockname()


async def test_nagle_stays_when_it_is_wanted() -> None:
    with RawServer() as server, await connect_one(HOME, request_for(server.address, no_delay=False)) as sock:
        assert not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_it_connects_from_where_it_is_told() -> None:
    with RawServer() as server:
        request = request_for(server.address, local_address=("127.0.0.2", 0))
        sock = await connect_one(HOME, request)
        assert sock.getsockname()[0] == "127.0.0.2"
        sock.close()


@pytest.mark.parametrize("local", ["192.0.2.55", "::1"])
async def test_an_address_that_is_not_ours_cannot_be_connected_from(local: str) -> None:
    with RawServer() as server, pytest.raises(OSError):  # noqa: PT011 - EADDRNOTAVAIL, or gaierror for the family
        await connect_one(HOME, request_for(server.address, local_address=(local, 0)))


async def test_a_refusal_is_the_systems_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect_one(HOME, request_for("127.0.0.1:1"))


async def test_ipv6_is_connected_with_its_zone() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with await connect_one(ip_address("::1"), request_for(f"[::1]:{port}")) as sock:
            assert sock.getpeername()[:2] == ("::1", port)
        for zone in ("lo", str(socket.if_nametoindex("lo"))):
            with await connect_one(ip_address(f"::1%{zone}"), request_for(f"[::1]:{port}")) as sock:
                assert sock.getpeername()[:2] == ("::1", port)


async def test_a_slow_connection_can_be_cancelled_and_leaves_nothing() -> None:
    """K13."""
    with silent_port() as port:
        task = asyncio.create_task(connect_one(HOME, request_for(f"127.0.0.1:{port}")))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_a_slow_refusal_is_an_error_too() -> None:
    with silent_port() as port:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(connect_module.finish_connect(sock))
        await asyncio.sleep(0)
        loop.call_soon(sock.shutdown, socket.SHUT_RDWR)  # the kernel gives the attempt up
        done, _ = await asyncio.wait([waiting])
        assert isinstance(done.pop().exception(), OSError)
        assert sock.fileno() == -1


# -- the race ----------------------------------------------------------------------------------------


async def run_race(
    addresses: list[str], port: int, delay_s: float = 10.0
) -> tuple[socket.socket | None, str | None, list[ConnectAttempt]]:
    """Race; return the socket, the address that won, and what failed."""
    failed: list[ConnectAttempt] = []
    ips: list[IPv4Address | IPv6Address] = [ip_address(text) for text in addresses]
    won = await race(ips, request_for(f"name.example:{port}"), delay_s, failed)
    return (None, None, failed) if won is None else (won[0], str(won[1]), failed)


def port_of(server: RawServer) -> int:
    return int(server.address.rpartition(":")[2])


async def test_a_failure_starts_the_next_attempt_at_once() -> None:
    """K14; the delay would outlast the test."""
    with RawServer() as server:
        sock, winner, failed = await run_race(["127.0.0.9", "127.0.0.8", "127.0.0.1"], port_of(server), 1000)
        assert winner == "127.0.0.1"
        assert [attempt.address for attempt in failed] == [f"127.0.0.{n}:{port_of(server)}" for n in (9, 8)]
        assert all(attempt.error.errno == errno.ECONNREFUSED for attempt in failed)
        assert all(attempt.elapsed_s >= 0 for attempt in failed)
        assert sock is not None
        sock.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_when_all_fail_each_is_recorded(count: int) -> None:
    addresses = [f"127.0.0.{n}" for n in range(1, count + 1)]
    sock, _, failed = await run_race(addresses, 1)
    assert sock is None
    assert [attempt.address for attempt in failed] == [f"{address}:1" for address in addresses]


async def test_a_silent_address_is_overtaken_after_the_delay_and_its_attempt_is_closed() -> None:
    """K13, K14: the fixture of async tests fails on a socket or a task that is left."""
    with silent_and_listening("127.0.0.3", "127.0.0.1") as port:
        sock, winner, failed = await run_race(["127.0.0.3", "127.0.0.1"], port, 0.001)
        assert winner == "127.0.0.1"
        assert failed == []
        assert sock is not None
        sock.close()


async def test_a_lone_silent_address_is_waited_for() -> None:
    with silent_port() as port:
        task = asyncio.create_task(run_race(["127.0.0.1"], port))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


@pytest.mark.parametrize("turns", range(8))
async def test_cancelling_in_the_middle_closes_everything(turns: int) -> None:
    """K13."""
    with silent_port("127.0.0.3") as port:
        task = asyncio.create_task(run_race(["127.0.0.3", "127.0.0.4", "127.0.0.3"], port, 0.0))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_of_several_that_connect_in_one_turn_one_wins_and_the_rest_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = asyncio.Event()
    pairs: list[socket.socket] = []

    async def connect_together(ip: IPv4Address, request: DialRequest) -> socket.socket:
        await gate.wait()
        near, far = socket.socketpair()
        pairs.append(far)
        return near

    monkeypatch.setattr(connect_module, "connect_one", connect_together)
    task = asyncio.create_task(run_race(["127.0.0.1", "127.0.0.2", "127.0.0.3"], 1, 0.001))
    running = asyncio.get_running_loop()
    while sum(other.get_name().startswith("connect 127") for other in asyncio.all_tasks(running)) < 3:
        await asyncio.sleep(0)
    gate.set()
    sock, _, _ = await task
    assert sock is not None
    with sock:
        open_ends = [far for far in pairs if far_is_open(far)]
        assert len(pairs) == 3
        assert len(open_ends) == 1
    for far in pairs:
        far.close()


def far_is_open(far: socket.socket) -> bool:
    far.setblocking(False)
    try:
        return far.recv(1) != b""
    except BlockingIOError:
        return True


async def test_the_winner_is_not_lost_when_losers_cannot_be_stopped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loser that connects after it was told to stop is closed when it comes."""
    late: list[socket.socket] = []
    gate = asyncio.Event()

    async def stubborn(ip: IPv4Address, request: DialRequest) -> socket.socket:
        near, far = socket.socketpair()
        if str(ip) == "127.0.0.1":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await gate.wait()
            late.append(far)
        else:
            far.close()
        return near

    monkeypatch.setattr(connect_module, "connect_one", stubborn)
    sock, winner, _ = await run_race(["127.0.0.1", "127.0.0.2"], 1, 0.001)
    assert winner == "127.0.0.2"
    assert sock is not None
    sock.close()
    gate.set()
    while not late:
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not far_is_open(late[0])
    late[0].close()


async def test_a_reset_connection_counts_as_connected_here() -> None:
    """Whether it lives is the stream's business; the race is about connecting."""
    with RawServer() as server:
        sock, _, _ = await run_race(["127.0.0.1"], port_of(server))
        peer = await server.accept()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        assert sock is not None
        sock.close()
