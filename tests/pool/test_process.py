"""The pool process, and what reaches it from the host and from the egress process."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.net.channel import Channel
from longshore.pool.process import PoolProcess, most_descriptors_of_clients
from longshore.proto.ipc.pool import AddDatabases, AttachEgress, EgressLost, PoolClient, PooledDatabase, PoolReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

DATABASE = PooledDatabase(binding="DB", connection_string="postgres://u:p@127.0.0.1:1/d")


class Rig:
    """What stands for the host and for the egress process."""

    def __init__(self, host: Channel, egress: Channel) -> None:
        self.host = host
        self.egress = egress

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        mine, its = socket.socketpair()
        with its:
            self.egress.send(PoolClient(worker_id=1, binding="DB"), (its.fileno(),))
        return await asyncio.open_unix_connection(sock=mine)


@asynccontextmanager
async def rig(most_descriptors: int) -> AsyncIterator[Rig]:
    pairs = socket.socketpair(), socket.socketpair()
    host, its = Channel(pairs[0][0]), Channel(pairs[0][1])
    running = asyncio.ensure_future(PoolProcess(its, most_descriptors=most_descriptors).run())
    egress = Channel(pairs[1][0])
    try:
        host.send(AddDatabases(worker_id=1, worker="w", token="t", databases=(DATABASE,)))
        with pairs[1][1] as end:
            host.send(AttachEgress(number=3), (end.fileno(),))
        received = await host.receive()
        assert received is not None
        assert isinstance(received[0], PoolReady)
        yield Rig(host, egress)
    finally:
        egress.close()
        host.close()
        await running
        its.close()


async def test_a_client_that_finds_no_room_is_closed_and_the_channel_lives_on(caplog: pytest.LogCaptureFixture) -> None:
    async with rig(0) as it:
        for _ in range(3):
            reader, writer = await it.connect()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
    assert [record.args for record in caplog.records if "too many open files" in record.message] == [(1,), (2,)]


async def test_a_client_that_finds_room_is_answered() -> None:
    async with rig(most_descriptors_of_clients()) as it:
        reader, writer = await it.connect()
        writer.write(b"\0\0\0\x08\x04\xd2\x16\x2f")  # SSLRequest
        assert await reader.readexactly(1) == b"N"
        writer.close()
        await writer.wait_closed()


async def test_the_host_is_told_which_channel_ended() -> None:
    async with rig(1000) as it:
        it.egress.close()
        received = await it.host.receive()
        assert received is not None
        assert received[0] == EgressLost(number=3)
