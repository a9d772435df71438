"""Tests of ``longshore.egress.control``: what a worker may say, and what it cannot do with it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from longshore.config.model import EgressLimits, NetworkRules
from longshore.egress import control
from longshore.egress.answers import Answer
from longshore.egress.client import BrokerDialer
from longshore.egress.judge import Judge
from longshore.errors import (
    ConnectError,
    ConnectTimeout,
    LimitExceeded,
    PolicyDenied,
)
from longshore.net.channel import Channel
from longshore.proto.ipc.egress import (
    AddWorker,
    CancelDial,
    Dial,
    Dialed,
    DialFailed,
    EgressReady,
    EndTunnel,
    HandshakeAsk,
    Jailed,
    StartTls,
)
from longshore.proto.ipc.frames import make_frame
from longshore.testing import StaticResolver
from tests.egress.broker_rig import broker, door, make_config, request
from tests.net.test_connect import silent_port
from tests.testing.raw import RawServer
from tests.testing.tls_peer import NAME

LOCAL = NetworkRules(allow=("local",))
NAMES = StaticResolver({NAME: ["127.0.0.1"]})


def port_of(server: RawServer) -> str:
    return server.address.rpartition(":")[2]


# -- the audit log ---------------------------------------------------------------------------------


async def test_a_connection_is_audited_with_the_rule_that_allowed_it() -> None:
    with RawServer() as server:
        async with broker(resolver=NAMES) as (dialer, rig):
            connection = await dialer.dial(request(f"{NAME}:{port_of(server)}"))
            (record,) = rig.records
            assert (record.event, record.outcome, record.rule) == ("open", "connected", "local")
            assert (record.worker, record.worker_id, record.connection_id) == ("shop", 7, 1)
            assert (record.name, record.port) == (NAME, int(port_of(server)))
            assert record.address == server.address
            assert record.local_address == connection.info.local_address
            assert record.via == "connect()"
            assert record.dns_s is not None
            connection.stream.close()
            (await server.accept()).close()


async def test_the_request_and_the_way_are_told() -> None:
    with RawServer() as server:
        async with door() as rig:
            dialer = BrokerDialer(Channel(rig.mine), request_id=lambda: "req-9", via=lambda: "fetch()")
            connection = await dialer.dial(request(server.address))
            assert [(record.request_id, record.via) for record in rig.records] == [("req-9", "fetch()")]
            connection.stream.close()
            (await server.accept()).close()
            await dialer.aclose()


@pytest.mark.parametrize(
    ("rules", "target", "error", "event", "outcome", "rule", "address"),
    [
        (NetworkRules(), "127.0.0.1:1", PolicyDenied, "deny", "blocked by policy", "default: not", "127.0.0.1:1"),
        (NetworkRules(deny=(NAME,)), f"{NAME}:1", PolicyDenied, "deny", "blocked by policy", NAME, ""),
        (NetworkRules(), f"{NAME}:1", PolicyDenied, "deny", "blocked by policy", "default: not", "127.0.0.1:1"),
        (LOCAL, "127.0.0.1:8787", PolicyDenied, "deny", "loop detected", "default: loop", "127.0.0.1:8787"),
        (LOCAL, f"{NAME}:8787", PolicyDenied, "deny", "loop detected", "default: loop", "127.0.0.1:8787"),
        (LOCAL, "127.0.0.1:1", ConnectError, "fail", "refused", "local", "127.0.0.1:1"),
        (LOCAL, f"{NAME}:1", ConnectError, "fail", "refused", "local", "127.0.0.1:1"),
    ],
)
async def test_what_did_not_come_about_is_audited(
    rules: NetworkRules, target: str, error: type[Exception], event: str, outcome: str, rule: str, address: str
) -> None:
    options: dict[str, Any] = {"resolver": NAMES, "own_addresses": ["127.0.0.1:8787"]}
    async with broker(config=make_config(network=rules), **options) as (dialer, rig):
        with pytest.raises(error):
            await dialer.dial(request(target))
        (record,) = rig.records
    assert (record.event, record.outcome, record.address) == (event, outcome, address)
    assert record.rule.startswith(rule)


async def test_a_loop_is_told_as_one() -> None:
    async with broker(own_addresses=["127.0.0.1:8787"]) as (dialer, _):
        with pytest.raises(PolicyDenied, match=r"blocked by policy: loop detected, this is the worker's own address"):
            await dialer.dial(request("127.0.0.1:8787"))


async def test_a_cancelled_dial_is_audited_and_its_place_given_back() -> None:
    limits = EgressLimits(open_sockets=1, queue_timeout_s=0.0)
    with silent_port() as port:
        async with broker(config=make_config(network=NetworkRules(allow=("local",), limits=limits))) as (dialer, rig):
            dialing = asyncio.create_task(dialer.dial(request(f"127.0.0.1:{port}")))
            while rig.context.gate.open_sockets == 0:
                await asyncio.sleep(0)
            with pytest.raises(LimitExceeded):
                await dialer.dial(request(f"127.0.0.1:{port}"))
            dialing.cancel()
            await asyncio.wait([dialing])
            while not rig.records[1:]:
                await asyncio.sleep(0)
            assert [(record.event, record.outcome) for record in rig.records] == [
                ("limit", "limit open_sockets of 1 reached"),
                ("fail", "given up"),
            ]
            assert rig.context.gate.open_sockets == 0


# -- limits ----------------------------------------------------------------------------------------


async def test_a_dial_waits_for_its_turn() -> None:
    limits = EgressLimits(open_sockets=1)
    with RawServer() as server:
        async with broker(config=make_config(network=NetworkRules(allow=("local",), limits=limits))) as (dialer, rig):
            first = await dialer.dial(request(server.address))
            waiting = asyncio.create_task(dialer.dial(request(server.address)))
            peer = await server.accept()
            for _ in range(20):
                await asyncio.sleep(0)
            assert not waiting.done()
            first.stream.close()
            peer.close()
            second = await waiting
            second.stream.close()
            (await server.accept()).close()
            assert rig.events() == ["open", "open"]


async def test_time_that_runs_out_in_the_queue_says_so() -> None:
    limits = EgressLimits(open_sockets=1)
    with RawServer() as server:
        async with broker(config=make_config(network=NetworkRules(allow=("local",), limits=limits))) as (dialer, _):
            first = await dialer.dial(request(server.address))
            with pytest.raises(
                ConnectTimeout, match=r"during the wait for its turn \(limits of the worker\)"
            ) as caught:
                await dialer.dial(request(server.address, timeout_s=0.01))
            assert caught.value.during == "connect"
            first.stream.close()
            (await server.accept()).close()


async def test_dials_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_DIALS_UNDER_WAY", 3)
    with silent_port() as port:
        async with broker() as (dialer, rig):
            dialing = [asyncio.create_task(dialer.dial(request(f"127.0.0.1:{port}"))) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(LimitExceeded, match="3 dials of this worker are under way already"):
                await dialer.dial(request(f"127.0.0.1:{port}"))
            assert rig.events() == ["limit"]
            for task in dialing:
                task.cancel()
            await asyncio.wait(dialing)


async def test_a_worker_that_does_not_read_is_not_listened_to() -> None:
    """Its answers wait in the kernel's buffer and a few of ours, and its questions in its own."""
    async with door(config=make_config(network=NetworkRules())) as rig:
        rig.mine.setblocking(False)
        sent = 0
        for number in range(1, 50_000):
            try:
                rig.mine.send(make_frame(Dial(dial_id=number, address="127.0.0.1:1")))
            except BlockingIOError:
                if len(rig.records) == sent:
                    break
                sent = len(rig.records)
            await asyncio.sleep(0)
        else:
            pytest.fail("the door took everything")
        answered = len(rig.records)
        channel = Channel(rig.mine)
        for _ in range(answered):
            received = await channel.receive()
            assert received is not None
            assert isinstance(received[0], DialFailed)
        channel.close()
        while not rig.control._channel.is_closed:
            await asyncio.sleep(0)


# -- what is no sentence ---------------------------------------------------------------------------


def frame(message: Any, fds: int = 0) -> bytes:
    return make_frame(message, fds)


async def end_of(sock: socket.socket) -> None:
    """Wait until the other side has closed it; whether it had read everything does not matter."""
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (frame(EgressReady(pid=1)), "message: EgressReady is not for a worker to say now"),
        (frame(AddWorker(worker_id=1, config=b"{}")), "message: AddWorker is not"),  # type: ignore[arg-type]
        (frame(Jailed(pid=1)), "message: Jailed is not"),
        (frame(CancelDial(dial_id=1)) + frame(Jailed(pid=1)), "message: Jailed is not"),
        (
            frame(StartTls(dial_id=1, binding="X", remote_address="", tls=HandshakeAsk(server_name="x"))),
            "message: Start",
        ),
        (b"\x7f\xff\xff\xff\x00", "message: 'frame of "),
        (b"\x00\x01\x00\x01\x00", "message: 'frame of 65537 bytes"),
        (b"\x00\x00\x00\x02\x00{}", "message: 'not a message"),
        (frame(CancelDial(dial_id=1), 3), "message: 'frame with 3 descriptors"),
    ],
)
async def test_what_no_client_of_ours_says_ends_the_channel(data: bytes, detail: str) -> None:
    async with door() as rig:
        rig.mine.setblocking(False)
        rig.mine.send(data)
        await end_of(rig.mine)
        (record,) = rig.records
        assert record.event == "refuse"
        assert record.detail.startswith(detail)


async def test_a_number_that_is_in_use_ends_the_channel() -> None:
    with silent_port() as port:
        async with door() as rig:
            rig.mine.setblocking(False)
            rig.mine.send(frame(Dial(dial_id=1, address=f"127.0.0.1:{port}")) * 2)
            await end_of(rig.mine)
            assert sorted(rig.events()) == ["fail", "refuse"]


async def test_descriptors_that_nobody_asked_for_are_closed() -> None:
    async with door() as rig:
        theirs, ours = socket.socketpair()
        with theirs:
            with ours:
                socket.send_fds(rig.mine, [frame(CancelDial(dial_id=1), 1)], [ours.fileno()])
            theirs.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""


async def test_descriptors_that_no_frame_announces_do_not_fill_this_process() -> None:
    async with door() as rig:
        rig.mine.setblocking(False)
        theirs, ours = socket.socketpair()
        bomb = array.array("i", [ours.fileno()] * 250)
        before = len(os.listdir("/proc/self/fd"))
        with theirs, ours:
            rig.mine.sendmsg([b"\x00\x00\xff\xff\x00"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bomb)])
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for _ in range(10):
                    rig.mine.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bomb)])
                    await asyncio.sleep(0)
            await end_of(rig.mine)
            assert len(os.listdir("/proc/self/fd")) <= before
        assert rig.records[0].event == "refuse"


async def test_the_first_message_may_tell_that_the_worker_is_jailed() -> None:
    taken: list[tuple[Jailed, list[int]]] = []
    async with door(on_jailed=lambda message, fds: taken.append((message, fds))) as rig:
        theirs, ours = socket.socketpair()
        with theirs, ours:
            socket.send_fds(rig.mine, [frame(Jailed(pid=5), 2)], [ours.fileno(), ours.fileno()])
            while not taken:
                await asyncio.sleep(0)
            ((message, fds),) = taken
            assert message.pid == 5
            for fd in fds:
                assert os.fstat(fd).st_ino == os.fstat(ours.fileno()).st_ino
                os.close(fd)
            rig.mine.setblocking(False)
            rig.mine.send(frame(Jailed(pid=5)))
            await end_of(rig.mine)


async def test_an_error_of_our_own_is_answered_too(caplog: pytest.LogCaptureFixture) -> None:
    async with broker(resolver=StaticResolver({"odd.example": ZeroDivisionError("oops")})) as (dialer, rig):
        with pytest.raises(Exception, match="the host could not make the connection: ZeroDivisionError"):
            await dialer.dial(request("odd.example:1"))
        assert [(record.event, record.outcome) for record in rig.records] == [("fail", "internal error")]
    assert "a dial failed unexpectedly" in caplog.text


# -- names of its own ------------------------------------------------------------------------------


async def test_a_synthetic_address_is_what_it_stands_for() -> None:
    with RawServer() as server:
        async with broker(resolver=StaticResolver({})) as (dialer, rig):
            synthetic = rig.context.names.address_for("shop.example", ip_address("127.0.0.1"))
            connection = await dialer.dial(request(f"{synthetic}:{port_of(server)}"))
            assert connection.info.remote_address == server.address
            assert (rig.records[0].name, rig.records[0].rule) == ("shop.example", "local")
            connection.stream.close()
            (await server.accept()).close()


async def test_a_synthetic_address_is_judged_by_name_and_by_real_address() -> None:
    rules = NetworkRules(allow=("local",), deny=("evil.example",))
    async with broker(config=make_config(network=rules)) as (dialer, rig):
        evil = rig.context.names.address_for("evil.example", ip_address("127.0.0.1"))
        private = rig.context.names.address_for("shop.example", ip_address("10.0.0.1"))
        for synthetic, name, address in (
            (evil, "evil.example", "127.0.0.1:1"),
            (private, "shop.example", "10.0.0.1:1"),
        ):
            with pytest.raises(PolicyDenied, match=f"connection to {name}:1 blocked"):
                await dialer.dial(request(f"{synthetic}:1"))
            assert rig.records[-1].address == address


async def test_a_synthetic_address_that_nobody_was_given_is_nothing() -> None:
    async with broker() as (dialer, _):
        with pytest.raises(ConnectError, match="nothing has this address"):
            await dialer.dial(request("198.19.0.77:80"))


async def test_a_literal_is_known_by_the_name_it_was_reached_under() -> None:
    """What a server tells about itself in the conversation: FTP's passive mode, clusters."""
    rules = NetworkRules(allow=("localhost", "127.0.0.1:1"))
    with RawServer() as server:
        resolver = StaticResolver({NAME: ["127.0.0.1"]})
        async with broker(config=make_config(network=rules), resolver=resolver) as (dialer, rig):
            with pytest.raises(PolicyDenied):
                await dialer.dial(request(server.address))
            rig.context.names.note_reached("ftp.shop.example", ip_address("127.0.0.1"))
            with pytest.raises(PolicyDenied):
                await dialer.dial(request(server.address))
            rig.context.judge = Judge(NetworkRules(allow=("local:1", "127.0.0.0/8:2"), deny=("ftp.shop.example:2",)))
            with pytest.raises(PolicyDenied):
                await dialer.dial(request("127.0.0.1:2"))
            assert rig.records[-1].rule == "ftp.shop.example:2"


async def test_an_unknown_tunnel_is_ended_without_a_word() -> None:
    async with broker() as (dialer, rig):
        dialer._channel.send(EndTunnel(dial_id=5, step="close"))
        with pytest.raises(ConnectError):
            await dialer.dial(request("127.0.0.1:1"))
        assert rig.events() == ["fail"]


async def test_an_answer_is_one_connection_and_one_descriptor() -> None:
    with RawServer() as server:
        async with door() as rig:
            rig.mine.send(frame(Dial(dial_id=3, address=server.address)))
            channel = Channel(rig.mine)
            received = await channel.receive()
            assert received is not None
            message, (fd,) = received
            assert isinstance(message, Dialed)
            assert (message.dial_id, message.is_tunnel, message.is_near) == (3, False, True)
            os.close(fd)
            channel.close()
            async with await server.accept() as peer:
                assert await peer.receive() == b""


async def test_a_name_that_led_nowhere_is_asked_for_anew() -> None:
    async with broker(resolver=NAMES) as (dialer, rig):
        now = asyncio.get_running_loop().time()
        rig.context.resolver._cache.put("server.example", Answer("found", (ip_address("127.0.0.1"),), 9), now + 99_999)
        with pytest.raises(ConnectError):
            await dialer.dial(request("server.example:1"))
        assert rig.context.resolver.peek("server.example") is None


async def test_the_worker_itself_comes_before_the_host() -> None:
    """A listener inside is found by ``connect()`` as it is by a driver; no rule is asked."""
    asked: list[tuple[str, int]] = []
    ours, theirs = socket.socketpair()

    def reach_inside(ip: object, port: int) -> socket.socket | None:
        asked.append((str(ip), port))
        if port == 82:
            raise ConnectionRefusedError(111, "Connection refused")
        return ours if port == 80 and str(ip) == "::1" else None

    with ours, theirs:
        async with broker(config=make_config(network=NetworkRules())) as (dialer, rig):
            rig.control.reach_inside = reach_inside
            with pytest.raises(PolicyDenied):
                await dialer.dial(request("[::ffff:127.0.0.1]:81"))
            with pytest.raises(ConnectError, match="refused"):
                await dialer.dial(request("198.18.255.254:82"))
            with pytest.raises(PolicyDenied):
                await dialer.dial(request("localhost:81"))
        assert asked == [("127.0.0.1", 81), ("198.18.255.254", 82), ("127.0.0.1", 81), ("::1", 81)]
        assert rig.events() == ["deny", "deny"]
