"""Following connections by a real kernel: what it tells, and what can be asked."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
import traceback
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

import pytest

from longshore.egress.flows import Flow, Flows
from longshore.egress.holders import reset_held
from tests.egress.audited import Book, address, opened, tcp_pair, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="connections are followed by means of Linux")


class Owner:
    """Who counts."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def flow_released(self, flow: Flow) -> None:
        self.told.append("released")

    def flow_ended(self, flow: Flow) -> None:
        self.told.append("ended")


class Scene:
    """Flows and a book, and one connection that is tracked."""

    def __init__(self) -> None:
        self.flows = Flows()
        self.book = Book()
        self.owner = Owner()

    def track(self, sock: socket.socket) -> Flow:
        entry = self.book.begin()
        flow = self.flows.track(sock, entry, self.owner)
        opened(entry, sock)
        assert flow is not None
        return flow

    def __enter__(self) -> Self:
        assert self.flows.is_available
        return self

    def __exit__(self, *_: object) -> None:
        self.flows.close()


def exchange(ours: socket.socket, theirs: socket.socket) -> None:
    """1,000 bytes there, 77 back."""
    ours.sendall(b"x" * 1000)
    assert len(theirs.recv(1000, socket.MSG_WAITALL)) == 1000
    theirs.sendall(b"y" * 77)
    assert len(ours.recv(77, socket.MSG_WAITALL)) == 77


async def closed(scene: Scene) -> tuple[int | None, int | None]:
    await until(lambda: "close" in scene.book.events)
    record = scene.book.records[-1]
    return record.bytes_sent, record.bytes_received


async def test_the_kernel_tells_the_end_and_every_byte_when_we_close_first() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        scene.track(ours)
        exchange(ours, theirs)
        ours.close()
        theirs.close()
        assert await closed(scene) == (1000, 77)
        assert scene.owner.told == ["released", "ended"]
        assert len(scene.flows) == 0


async def test_a_peer_that_does_not_close_is_not_waited_for() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        scene.track(ours)
        exchange(ours, theirs)
        ours.close()
        assert await closed(scene) == (1000, 77)


async def test_the_peers_fin_is_no_byte_when_it_was_read() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        scene.track(ours)
        exchange(ours, theirs)
        theirs.close()
        assert ours.recv(1) == b""
        ours.close()
        assert await closed(scene) == (1000, 77)


async def test_the_peers_fin_is_no_byte_after_a_half_close() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        scene.track(ours)
        exchange(ours, theirs)
        ours.shutdown(socket.SHUT_WR)
        assert theirs.recv(1) == b""
        theirs.close()
        assert ours.recv(1) == b""
        ours.close()
        assert await closed(scene) == (1000, 77)


async def test_a_reset_has_its_bytes_too() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        scene.track(ours)
        exchange(ours, theirs)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        with pytest.raises(ConnectionResetError):
            ours.recv(1)
        ours.close()
        assert await closed(scene) == (1000, 77)


async def test_ipv6() -> None:
    with Scene() as scene, tcp_pair("::1") as (ours, theirs):
        flow = scene.track(ours)
        exchange(ours, theirs)
        scene.flows.measure([flow])
        assert (flow.bytes_sent, flow.bytes_received) == (1000, 77)
        ours.close()
        assert await closed(scene) == (1000, 77)


async def test_a_v4_mapped_socket_of_ipv6() -> None:
    with Scene() as scene, socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as ours:
        ours.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        flow = scene.track(ours)
        ours.sendall(b"x" * 5)
        scene.flows.measure([flow])
        assert flow.bytes_sent == 5
        ours.close()
        assert await closed(scene) == (5, 0)


async def test_a_descriptor_in_another_process_holds_the_connection() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        flow = scene.track(ours)
        other = ours.dup()
        ours.close()
        scene.flows.measure([flow])
        scene.flows.drain()
        assert scene.owner.told == []
        other.close()
        assert await closed(scene) == (0, 0)
        assert theirs.recv(1) == b""


async def test_measuring_finds_what_nobody_holds_though_the_kernel_is_still_busy() -> None:
    with Scene() as scene, tcp_pair() as (ours, theirs):
        flow = scene.track(ours)
        ours.setblocking(False)
        while True:
            try:
                ours.send(b"x" * 65536)
            except BlockingIOError:
                break
        scene.flows.measure([flow])
        assert scene.owner.told == []
        ours.close()  # what is queued is still on its way
        scene.flows.measure([flow])
        scene.flows.measure([flow])
        assert scene.owner.told == ["released"]
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        await until(lambda: scene.owner.told == ["released", "ended"])


async def test_many_are_measured_at_once() -> None:
    with Scene() as scene:
        with ExitStack() as stack:
            socks = [stack.enter_context(tcp_pair())[0] for _ in range(100)]
            flows = [scene.track(ours) for ours in socks]
            for index, ours in enumerate(socks):
                ours.sendall(b"x" * index)
            scene.flows.measure(flows)
            assert [flow.bytes_sent for flow in flows] == list(range(100))
        await until(lambda: scene.book.events.count("close") == 100)


async def test_others_connections_are_none_of_our_business() -> None:
    with Scene() as scene, tcp_pair() as (ours, _):
        with tcp_pair() as (others, _):
            others.close()
        scene.track(ours)
        ours.close()
        await closed(scene)
        assert scene.book.events == ["open", "close"]


async def test_a_connect_under_way_gets_its_outcome() -> None:
    with Scene() as scene, socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
        ours.setblocking(False)
        assert ours.connect_ex(server.getsockname()) == errno.EINPROGRESS
        remote = address(server.getsockname())
        scene.flows.watch(ours, scene.book.begin(), scene.owner, remote, "local")
        await until(lambda: scene.book.events == ["open"])
        (record,) = scene.book.records
        assert (record.address, record.local_address) == (remote, address(ours.getsockname()))
        assert record.rule == "local"
        assert record.tcp_s is not None
        ours.close()
        await closed(scene)
        assert scene.book.events == ["open", "close"]


async def test_a_connection_that_is_over_before_it_is_looked_at_was_one() -> None:
    with Scene() as scene, socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
        ours.setblocking(False)
        ours.connect_ex(server.getsockname())
        flow = scene.flows.watch(ours, scene.book.begin(), scene.owner, address(server.getsockname()), "local")
        assert flow is not None
        theirs, _ = server.accept()
        ours.close()
        theirs.close()
        # As a loop does that runs timers before it polls.
        scene.flows._timers[flow.cookie].cancel()
        scene.flows._look(flow, 0.0)
        await until(lambda: scene.book.events == ["open", "close"])


async def test_a_connect_that_is_refused_is_a_fail_though_its_descriptor_lives() -> None:
    with Scene() as scene, socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
        name = server.getsockname()
        server.close()
        ours.setblocking(False)
        ours.connect_ex(name)
        scene.flows.watch(ours, scene.book.begin(), scene.owner, address(name), "local")
        await until(lambda: scene.book.events == ["fail"])
        assert scene.owner.told == ["released", "ended"]
        assert scene.book.records[0].address == address(name)


async def test_a_connect_that_is_given_up_is_a_fail() -> None:
    with Scene() as scene, full_server() as name, socket.socket() as ours:
        ours.setblocking(False)
        assert ours.connect_ex(name) == errno.EINPROGRESS
        scene.flows.watch(ours, scene.book.begin(), scene.owner, address(name), "local")
        ours.close()
        await until(lambda: scene.book.events == ["fail"])


async def test_a_socket_that_connects_again_is_another_connection() -> None:
    with Scene() as scene, socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
        with socket.create_server(("127.0.0.1", 0)) as closing:
            refusing = closing.getsockname()
        ours.setblocking(False)
        ours.connect_ex(refusing)
        scene.flows.watch(ours, scene.book.begin(), scene.owner, address(refusing), "local")
        ours.setblocking(True)
        try:
            ours.connect(server.getsockname())
        except ConnectionRefusedError:  # the first one's
            ours.connect(server.getsockname())
        scene.track(ours)
        assert scene.book.events == ["fail", "open"]
        ours.close()
        await closed(scene)


async def test_a_connection_can_be_cut() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may reset a connection")
    with Scene() as scene, tcp_pair() as (ours, theirs):
        flow = scene.track(ours)
        scene.flows.cut(flow, "limit bytes of 5 reached")
        with pytest.raises(ConnectionAbortedError):
            ours.recv(1)
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)
        ours.close()
        await closed(scene)
        assert scene.book.records[-1].detail == "limit bytes of 5 reached"


async def test_a_connection_without_known_addresses_is_left_alone() -> None:
    with Scene() as scene, tcp_pair() as (ours, _):
        entry = scene.book.begin()
        flow = scene.flows.track(ours, entry, scene.owner)  # a handshake is being made
        assert flow is not None
        scene.flows.measure([flow])
        scene.flows.cut(flow, "x")
        ours.close()
        await until(lambda: scene.owner.told)
        assert scene.book.events == []
        entry.failed("TLS failed")
        assert scene.book.events == ["fail"]


async def test_events_that_were_lost_are_made_up_for() -> None:
    with Scene() as scene, tcp_pair() as (alive, _):
        diag = scene.flows._diag
        assert diag is not None
        diag._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least there is: room for a few
        scene.track(alive)
        with ExitStack() as stack:
            for _ in range(50):
                scene.track(stack.enter_context(tcp_pair())[0])
        await until(lambda: scene.book.events.count("close") == 50)
        assert len(scene.flows) == 1


async def test_a_system_that_cannot_follow_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK")
    flows = Flows()
    book = Book()
    with tcp_pair() as (ours, _):
        assert flows.track(ours, book.begin(), Owner()) is None
    flows.drain()
    flows.measure([])
    flows.close()
    assert not flows.is_available
    assert caplog.text.count("limits on them do not hold") == 1


def test_what_an_account_without_rights_can_do() -> None:
    """The same by a process of nobody: it is told of ends, and cuts by other means."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody; the other tests have shown it")
    _rehearse()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            code = _as_nobody()
        except BaseException:  # noqa: BLE001 - shown, and then it is a failure
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _rehearse() -> None:
    """Import what is imported late: nobody may not read the interpreter's files."""

    async def play() -> None:
        with Scene() as scene, tcp_pair() as (ours, _):
            scene.track(ours)
            await asyncio.get_running_loop().run_in_executor(None, reset_held, 0)

    asyncio.run(play())


def _as_nobody() -> int:
    async def follow() -> int:
        with Scene() as scene, tcp_pair() as (ours, theirs):
            flow = scene.track(ours)
            exchange(ours, theirs)
            scene.flows.measure([flow])
            scene.flows.cut(flow, "enough")
            ours.setblocking(False)
            async with asyncio.timeout(20):
                await until(lambda: ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)
                try:
                    theirs.recv(1)
                except ConnectionResetError:
                    ours.close()
                    counts = await closed(scene)
                    return 0 if counts == (1000, 77) and scene.book.records[-1].detail == "enough" else 2
        return 3

    return asyncio.run(follow())


@contextmanager
def full_server() -> Iterator[tuple[str, int]]:
    """Give the name of a server whose queue is full: connecting to it takes long."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()
