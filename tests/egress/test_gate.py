"""The limits of a worker at a real kernel."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest

from longshore.config.model import EgressLimits
from longshore.egress.flows import Flows
from longshore.egress.gate import Gate, Permit
from longshore.errors import LimitExceeded
from tests.egress.audited import Book, address, opened, tcp_pair, until
from tests.sweep import MODES, Attempt, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="connections are followed by means of Linux")


class Scene(ExitStack):
    """A gate, and what its connections need."""

    def __init__(self, limits: EgressLimits, clock: Callable[[], float] | None = None) -> None:
        super().__init__()
        self.book = Book()
        self.flows = Flows()
        self.gate = Gate(limits, self.flows, clock)
        self.callback(self.flows.close)
        self.callback(self.gate.close)

    def connect(self, permit: Permit) -> tuple[socket.socket, socket.socket]:
        """Make the connection that a permit is for; return both ends."""
        ours, theirs = self.enter_context(tcp_pair())
        entry = self.book.begin(request_id=permit.request_id)
        permit.connected(ours, entry)
        opened(entry, ours)
        return ours, theirs

    def __enter__(self) -> Self:
        return self


async def test_without_limits_everything_is_admitted_at_once() -> None:
    with Scene(EgressLimits()) as scene:
        permits = [scene.gate.try_admit() for _ in range(100)] + [await scene.gate.admit() for _ in range(100)]
        assert scene.gate.open_sockets == 200
        for permit in permits:
            permit.release()
            permit.release()
        assert scene.gate.open_sockets == 0


async def test_who_cannot_wait_is_told_at_once_which_limit_it_is() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene:
        permit = scene.gate.try_admit()
        with pytest.raises(LimitExceeded, match="open_sockets = 1 is reached") as caught:
            scene.gate.try_admit()
        assert (caught.value.limit, caught.value.value) == ("open_sockets", 1)
        permit.release()
        scene.gate.try_admit().release()


async def test_a_socket_that_was_closed_this_moment_does_not_count() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene:
        for _ in range(20):  # no turn of the loop in between
            ours, _ = scene.connect(scene.gate.try_admit())
            ours.close()


async def test_a_socket_that_is_open_counts() -> None:
    with Scene(EgressLimits(open_sockets=2)) as scene:
        scene.connect(scene.gate.try_admit())
        scene.connect(scene.gate.try_admit())
        for _ in range(10):
            with pytest.raises(LimitExceeded):
                scene.gate.try_admit()


async def test_a_dial_waits_until_a_socket_is_closed() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene:
        ours, _ = scene.connect(await scene.gate.admit())
        waiting = asyncio.ensure_future(scene.gate.admit())
        await asyncio.sleep(0)
        assert not waiting.done()
        ours.close()
        (await waiting).release()


async def test_a_dial_waits_no_longer_than_it_may() -> None:
    with Scene(EgressLimits(open_sockets=1, queue_timeout_s=0.02)) as scene:
        permit = await scene.gate.admit()
        with pytest.raises(LimitExceeded, match=r"also after 0\.02 s"):
            await scene.gate.admit()
        permit.release()
        (await scene.gate.admit()).release()


async def test_without_a_queue_nobody_waits() -> None:
    with Scene(EgressLimits(open_sockets=1, queue_timeout_s=0)) as scene:
        scene.connect(await scene.gate.admit())
        with pytest.raises(LimitExceeded):
            await scene.gate.admit()


async def test_what_waiting_cannot_cure_fails_at_once() -> None:
    with Scene(EgressLimits(request_dials=1, queue_timeout_s=60)) as scene:
        (await scene.gate.admit("a")).release()
        with pytest.raises(LimitExceeded, match="request_dials"):
            await scene.gate.admit("a")
        (await scene.gate.admit("b")).release()


async def test_first_come_first_served() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene:
        permit = await scene.gate.admit()
        served: list[int] = []

        async def dial(number: int) -> None:
            mine = await scene.gate.admit()
            served.append(number)
            await asyncio.sleep(0)
            mine.release()

        dials = [asyncio.ensure_future(dial(number)) for number in range(10)]
        await asyncio.sleep(0)
        permit.release()
        await asyncio.gather(*dials)
        assert served == list(range(10))


async def test_nobody_pushes_in_before_who_waits() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene:
        permit = await scene.gate.admit()
        waiting = asyncio.ensure_future(scene.gate.admit())
        await asyncio.sleep(0)
        permit.release()
        with pytest.raises(LimitExceeded):
            scene.gate.try_admit()
        (await waiting).release()


async def test_a_request_that_waits_for_itself_holds_up_no_other() -> None:
    with Scene(EgressLimits(open_sockets=10, request_open_sockets=1)) as scene:
        mine = await scene.gate.admit("a")
        waiting = asyncio.ensure_future(scene.gate.admit("a"))
        await asyncio.sleep(0)
        for _ in range(5):
            (await scene.gate.admit("b")).release()
        assert not waiting.done()
        mine.release()
        (await waiting).release()


async def test_dials_are_let_through_as_fast_as_they_may() -> None:
    now = 0.0
    with Scene(EgressLimits(dials_per_s=2), lambda: now) as scene:
        scene.gate.try_admit().release()
        scene.gate.try_admit().release()
        with pytest.raises(LimitExceeded, match="dials_per_s"):
            scene.gate.try_admit()
        waiting = [asyncio.ensure_future(scene.gate.admit()) for _ in range(2)]
        await asyncio.sleep(0)
        now = 0.5
        (await waiting[0]).release()
        assert not waiting[1].done()
        now = 1.0
        (await waiting[1]).release()


async def test_bytes_of_ended_and_of_living_connections_are_counted() -> None:
    with Scene(EgressLimits(bytes=100)) as scene:
        ours, _ = scene.connect(scene.gate.try_admit())
        ours.sendall(b"x" * 60)
        ours.close()
        await until(lambda: "close" in scene.book.events)
        ours, theirs = scene.connect(scene.gate.try_admit())
        theirs.sendall(b"y" * 40)
        scene.gate._count_all()
        with pytest.raises(LimitExceeded, match="bytes = 100"):
            await scene.gate.admit()


async def test_what_is_beyond_the_bytes_is_cut() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may reset a connection of another process")
    with Scene(EgressLimits(request_bytes=10)) as scene:
        other, _ = scene.connect(scene.gate.try_admit("b"))
        ours, theirs = scene.connect(scene.gate.try_admit("a"))
        ours.sendall(b"x" * 11)
        assert len(theirs.recv(11, socket.MSG_WAITALL)) == 11
        await until(lambda: _is_cut(ours))
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)
        ours.close()
        await until(lambda: "close" in scene.book.events)
        assert scene.book.records[-1].detail == "limit request_bytes of 10 reached"
        other.sendall(b"still there")


def _is_cut(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


async def test_a_connect_under_way_holds_a_place_until_it_fails() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene, socket.socket() as ours:
        with socket.create_server(("127.0.0.1", 0)) as closing:
            name = closing.getsockname()
        ours.setblocking(False)
        ours.connect_ex(name)
        scene.gate.try_admit().started(ours, scene.book.begin(), address(name), "local")
        (await scene.gate.admit()).release()
        await until(lambda: scene.book.events == ["fail"])


@pytest.mark.parametrize("mode", MODES)
async def test_a_cancelled_dial_gives_its_place_back(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        with Scene(EgressLimits(open_sockets=1)) as scene:
            held = await scene.gate.admit()

            async def give_back() -> None:
                held.release()
                await asyncio.sleep(0)

            permit = await attempt.run(scene.gate.admit(), meanwhile=give_back())
            held.release()
            if permit is not None:
                permit.release()
            assert scene.gate.open_sockets == 0
            assert not scene.gate._waiters
            scene.gate.try_admit().release()

    await sweep(play, mode)


async def test_who_waits_fails_when_the_worker_is_gone() -> None:
    with Scene(EgressLimits(open_sockets=1)) as scene:
        ours, _ = scene.connect(await scene.gate.admit())
        waiting = asyncio.ensure_future(scene.gate.admit())
        await asyncio.sleep(0)
        scene.gate.close()
        with pytest.raises(LimitExceeded):
            await waiting
        ours.close()
        await until(lambda: "close" in scene.book.events)  # the audit log still has its end


async def test_where_connections_cannot_be_followed_they_hold_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK")
    with Scene(EgressLimits(open_sockets=1)) as scene:
        scene.connect(scene.gate.try_admit())
        scene.connect(scene.gate.try_admit())
        assert scene.gate.open_sockets == 0
