"""Who takes over idle connections."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from longshore.proto.ipc.messages import Adopt
from longshore.runtime.host.handover import HandOverDesk
from tests.runtime.host.links import linked

if TYPE_CHECKING:
    from longshore.net.channel import SyncChannel


def connections(count: int) -> tuple[list[socket.socket], list[int]]:
    """Return the clients' ends, and descriptors of the other ends."""
    pairs = [socket.socketpair() for _ in range(count)]
    return [client for client, _ in pairs], [server.detach() for _, server in pairs]


async def adopted(worker: SyncChannel) -> socket.socket:
    received = await asyncio.to_thread(worker.receive)
    assert received is not None
    message, (fd,) = received
    assert message == Adopt()
    return socket.socket(fileno=fd)


async def test_serving_workers_take_turns() -> None:
    desk = HandOverDesk()
    clients, fds = connections(4)
    async with linked(1) as (one, first), linked(2) as (two, second):
        desk.pass_on(fds, [one, two])
        for worker in (first, second):
            for _ in range(2):
                (await adopted(worker)).close()
    for client in clients:
        assert client.recv(1) == b"", "the desk kept no duplicate"
        client.close()


async def test_while_nobody_serves_connections_are_kept_open() -> None:
    desk = HandOverDesk()
    (client,), fds = connections(1)
    desk.pass_on(fds, [])
    client.setblocking(False)
    client.send(b"hello")
    async with linked() as (link, worker):
        desk.release([link])
        with client, await adopted(worker) as connection:
            assert connection.recv(5) == b"hello"


def test_what_is_kept_is_closed_at_the_end() -> None:
    desk = HandOverDesk()
    (client,), fds = connections(1)
    desk.pass_on(fds, [])
    desk.close()
    desk.close()
    with client:
        assert client.recv(1) == b""


def test_release_without_anything_kept() -> None:
    before = len(os.listdir("/proc/self/fd"))
    HandOverDesk().release([])
    assert len(os.listdir("/proc/self/fd")) == before
