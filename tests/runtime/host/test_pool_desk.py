"""The pool process of a host is joined to the egress process, whatever happens to either."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from longshore.proto.ipc.pool import AddDatabases, PooledDatabase
from longshore.runtime.host.databases import WorkerDatabases
from longshore.runtime.host.pool_desk import PoolDesk

if TYPE_CHECKING:
    import socket

DATABASE = PooledDatabase(binding="DB", connection_string="postgres://u:p@127.0.0.1:1/d")
SAID = AddDatabases(worker_id=1, worker="w", token="t", databases=(DATABASE,))


class Egress:
    """Stands for the egress process: keeps its end of each channel."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []
        self.arrived = asyncio.Event()

    def attach(self, sock: socket.socket) -> None:
        self.ends.append(sock.dup())
        self.arrived.set()

    async def next_end(self) -> socket.socket:
        async with asyncio.timeout(20):
            await self.arrived.wait()
        self.arrived.clear()
        return self.ends[-1]

    def close(self) -> None:
        for each in self.ends:
            each.close()


async def test_a_channel_that_broke_is_followed_by_another_one() -> None:
    """Both processes live on, so that nobody else would ever join them again."""
    egress = Egress()
    desk = PoolDesk(egress.attach, lambda: None)
    try:
        desk.add(WorkerDatabases(SAID))
        for _ in range(2):
            end = await egress.next_end()
            end.close()
        await egress.next_end()
        assert len(egress.ends) == 3
        assert desk.pid is not None
    finally:
        await desk.close()
        egress.close()


async def test_a_pool_process_that_is_killed_is_followed_by_another_one() -> None:
    egress, lost = Egress(), asyncio.Event()
    desk = PoolDesk(egress.attach, lost.set)
    try:
        desk.add(WorkerDatabases(SAID))
        await egress.next_end()
        first = desk.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(20):
            await lost.wait()
        await egress.next_end()
        assert desk.pid not in (None, first)
    finally:
        await desk.close()
        egress.close()


async def test_a_channel_that_was_replaced_is_not_missed() -> None:
    egress = Egress()
    desk = PoolDesk(egress.attach, lambda: None)
    try:
        desk.add(WorkerDatabases(SAID))
        await egress.next_end()
        desk.attach()
        await egress.next_end()
        egress.ends[0].close()
        egress.ends[1].close()
        await egress.next_end()
        assert len(egress.ends) == 3, "one more for the two"
    finally:
        await desk.close()
        egress.close()
