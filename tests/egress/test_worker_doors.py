"""Tests of ``longshore.egress.worker_doors``; with a real jail: ``tests/e2e``."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.credentials.store import CredentialStore
from longshore.egress.client import BrokerDialer
from longshore.egress.contexts import ContextMaker
from longshore.egress.flows import Flows
from longshore.egress.worker_doors import WorkerDoors
from longshore.errors import SocketError
from longshore.net.channel import Channel
from longshore.proto.ipc.egress import Jailed
from longshore.proto.ipc.frames import make_frame
from tests.egress.broker_rig import make_config, request
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def doors(failures: list[str] | None = None) -> AsyncIterator[tuple[WorkerDoors, socket.socket]]:
    mine, its = socket.socketpair()
    flows = Flows()
    maker = ContextMaker(CredentialStore(Path("/nonexistent")), flows, lambda _: None)
    opened = WorkerDoors(maker.make(1, make_config()), its, failures.append if failures is not None else None)
    try:
        yield opened, mine
    finally:
        await opened.aclose()
        flows.close()
        mine.close()


async def test_a_worker_without_traps_has_the_control_door() -> None:
    with RawServer() as server:
        async with doors() as (_, mine):
            mine.send(make_frame(Jailed(pid=2)))
            dialer = BrokerDialer(Channel(mine))
            connection = await dialer.dial(request(server.address))
            connection.stream.close()
            (await server.accept()).close()
            await dialer.aclose()


async def test_the_wrong_number_of_descriptors_opens_no_door_and_leaks_none() -> None:
    async with doors() as (_, mine):
        reading, writing = os.pipe()
        socket.send_fds(mine, [make_frame(Jailed(pid=2), 2)], [writing, writing])
        os.close(writing)
        while await asyncio.to_thread(os.read, reading, 1):
            pytest.fail("nobody writes")
        os.close(reading)


async def test_closed_doors_are_closed() -> None:
    async with doors() as (opened, mine):
        dialer = BrokerDialer(Channel(mine))
        await opened.aclose()
        await opened.aclose()
        with pytest.raises(SocketError, match="is gone"):
            await dialer.dial(request("127.0.0.1:1"))
        await dialer.aclose()


async def test_doors_that_cannot_be_opened_are_told_and_nothing_is_left_waiting() -> None:
    failures: list[str] = []
    async with doors(failures) as (_, mine):
        reading, writing = os.pipe()
        socket.send_fds(mine, [make_frame(Jailed(pid=2), 4)], [writing] * 4)
        os.close(writing)
        assert await asyncio.to_thread(os.read, reading, 1) == b"", "nobody holds the other end any more"
        os.close(reading)
        assert await asyncio.to_thread(mine.recv, 1) == b""
    assert len(failures) == 1
    assert failures[0].startswith("the egress process cannot serve it: ")


async def test_a_worker_is_jailed_once() -> None:
    async with doors() as (_, mine):
        reading, writing = os.pipe()
        mine.send(make_frame(Jailed(pid=2)))
        socket.send_fds(mine, [make_frame(Jailed(pid=2), 1)], [writing])
        os.close(writing)
        assert await asyncio.to_thread(mine.recv, 1) == b"", "that is no sentence of the protocol"
        assert await asyncio.to_thread(os.read, reading, 1) == b""
        os.close(reading)
