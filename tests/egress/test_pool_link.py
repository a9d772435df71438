"""The way of a worker to the pool process, and of the pool to its servers."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from longshore.config.model import HyperdriveBinding, NetworkRules
from longshore.credentials.store import CredentialStore
from longshore.egress.client import BrokerDialer
from longshore.egress.contexts import ContextMaker
from longshore.egress.control import ControlDoor
from longshore.egress.flows import Flows
from longshore.egress.pool_dials import PoolDials
from longshore.egress.pool_link import PoolLink
from longshore.errors import SocketError, UsageError
from longshore.net.channel import Channel
from longshore.pool.binding.egress_dialer import EgressDialer
from longshore.pool.servers.login_failed import LoginFailed
from longshore.proto.ipc.pool import DefineDatabase, PoolClient, PoolDatabase, ServerDialed, ServerDialFailed
from tests.egress.broker_rig import make_config, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.proto.ipc.egress import AuditRecord
    from longshore.proto.ipc.messages import Message

DB = HyperdriveBinding(binding="DB", connection_string="", is_private=True)
DEFINITION = DefineDatabase(binding="DB", handle="longshore_1", connection_string="postgres://u:p@h/d")


class Rig:
    """A worker's dialer, the egress process's part, and what stands for the pool process."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.said: list[Message] = []
        self.clients: list[socket.socket] = []
        self.dialer: BrokerDialer
        self.pool = EgressDialer()
        self.link: PoolLink
        self.arrived = asyncio.Event()

    def take(self, message: Message, fds: list[int]) -> None:
        """Be the pool process."""
        if isinstance(message, ServerDialed | ServerDialFailed):
            self.pool.take(message, fds)
            return
        self.said.append(message)
        self.clients += [socket.socket(fileno=fd) for fd in fds]
        self.arrived.set()


@asynccontextmanager
async def rig(*, allow: tuple[str, ...] = (), has_pool: bool = True) -> AsyncIterator[Rig]:
    it, flows = Rig(), Flows()
    config = make_config(hyperdrive=(DB,), network=NetworkRules(allow=allow))
    maker = ContextMaker(CredentialStore(Path("/nonexistent")), flows, it.records.append)
    context = maker.make(7, config)
    dials = PoolDials(maker)
    dials.add_worker(context)
    it.link = PoolLink(dials)
    mine, its = socket.socketpair()
    egress, pool = socket.socketpair()
    channel = Channel(pool)
    channel.listen(it.take, lambda _: None)
    it.pool.attach(channel)
    if has_pool:
        it.link.attach(egress)
    door = ControlDoor(context, Channel(its), pool=it.link)
    door.start()
    it.dialer = BrokerDialer(Channel(mine))
    try:
        yield it
    finally:
        await it.dialer.aclose()
        await door.aclose()
        await it.link.aclose()
        it.pool.lose()
        channel.close()
        egress.close()
        await dials.aclose()
        context.gate.close()
        flows.close()
        for each in it.clients:
            each.close()


@pytest.mark.parametrize("way", ["binding", "name"])
async def test_a_worker_and_the_pool_get_the_two_ends_of_a_pair(way: str) -> None:
    async with rig() as it:
        asked = request("db.binding.longshore.internal:5432")
        connection = await it.dialer.dial(replace(asked, binding="DB") if way == "binding" else asked)
        await it.arrived.wait()
        assert it.said == [PoolClient(worker_id=7, binding="DB")]
        (client,) = it.clients
        assert client.family == socket.AF_UNIX
        client.send(b"from the pool")
        stream = connection.stream
        assert await asyncio.to_thread(_received, stream.fileno()) == b"from the pool"
        stream.abort()
        assert it.records == [], "it left the host by no connection"


def _received(fd: int) -> bytes:
    sock = socket.socket(fileno=fd)
    try:
        sock.setblocking(True)
        return sock.recv(100)
    finally:
        sock.setblocking(False)
        sock.detach()


async def test_nobody_elses_binding_is_reached() -> None:
    async with rig() as it:
        with pytest.raises(UsageError, match="no "):
            await it.dialer.dial(replace(request("x.invalid:5432"), binding="OTHER"))
        assert it.said == []


async def test_without_a_pool_a_worker_is_told_so_and_lives_on() -> None:
    async with rig(has_pool=False) as it:
        for _ in range(2):
            with pytest.raises(SocketError, match="the pool of databases is not running"):
                await it.dialer.dial(replace(request("x.invalid:5432"), binding="DB"))
        it.dialer.define_database(DEFINITION)


async def test_what_a_worker_names_goes_on_to_the_pool_before_it_connects() -> None:
    async with rig() as it:
        it.dialer.define_database(DEFINITION)
        it.dialer.define_database(DefineDatabase(binding="OTHER", handle="x", connection_string="postgres://u:p@h/d"))
        connection = await it.dialer.dial(replace(request("x.invalid:5432"), binding="DB"))
        connection.stream.abort()
        while len(it.said) < 2:
            it.arrived.clear()
            await it.arrived.wait()
        assert it.said == [PoolDatabase(worker_id=7, definition=DEFINITION), PoolClient(worker_id=7, binding="DB")]


@asynccontextmanager
async def greeting_server() -> AsyncIterator[int]:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("is_declared", "allow", "is_allowed"), [(True, (), True), (False, (), False), (False, ("local",), True)]
)
async def test_what_is_declared_is_permitted_and_what_a_worker_names_is_judged(
    is_declared: bool, allow: tuple[str, ...], is_allowed: bool
) -> None:
    async with rig(allow=allow) as it, greeting_server() as port:
        dialing = it.pool.dial(7, "DB", f"127.0.0.1:{port}", is_declared=is_declared)
        if is_allowed:
            with await dialing as sock:
                assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"welcome"
        else:
            with pytest.raises(LoginFailed, match="the rules of the worker do not let it connect there") as caught:
                await dialing
            assert caught.value.is_permanent
        (record,) = [each for each in it.records if each.event != "close"]
        assert (record.event, record.via, record.binding) == ("open" if is_allowed else "deny", "pool", "DB")
        assert record.worker_id == (0 if is_declared else 7)


async def test_a_server_that_is_not_there_and_a_worker_that_has_ended() -> None:
    async with rig() as it:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(ConnectionError, match="refused"):
            await it.pool.dial(7, "DB", f"127.0.0.1:{port}", is_declared=True)
        with pytest.raises(ConnectionError, match="has ended"):
            await it.pool.dial(8, "DB", f"127.0.0.1:{port}", is_declared=True)


async def test_a_dial_that_is_given_up_and_one_whose_process_is_lost() -> None:
    async with rig() as it, greeting_server() as port:
        dialing = asyncio.ensure_future(it.pool.dial(7, "DB", f"127.0.0.1:{port}", is_declared=True))
        await asyncio.sleep(0)
        dialing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialing
        dialing = asyncio.ensure_future(it.pool.dial(7, "DB", f"127.0.0.1:{port}", is_declared=True))
        await asyncio.sleep(0)
        it.pool.lose()
        with pytest.raises(ConnectionError, match="being started again"):
            await dialing
        with pytest.raises(ConnectionError, match="being started again"):
            await it.pool.dial(7, "DB", f"127.0.0.1:{port}", is_declared=True)


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
async def test_a_pool_that_does_not_read_holds_few_descriptors_of_ours() -> None:
    """It may be stopped, or busy for long; the connections of other workers go through this process, too."""
    egress, pool = socket.socketpair()
    link = PoolLink(cast("PoolDials", None))
    link.attach(egress)
    mine, its = socket.socketpair()
    before, passed = len(os.listdir("/proc/self/fd")), 0
    try:
        error = None
        while error is None and passed < 20_000:
            try:
                link.pass_client(7, "DB", its)
            except SocketError as exc:
                error = exc
            else:
                passed += 1
        assert "does not keep up" in str(error)
        assert len(os.listdir("/proc/self/fd")) - before < 1_500
        assert passed >= 500
        link.define(7, DEFINITION)  # forgotten
    finally:
        await link.aclose()
        for each in (mine, its, pool):
            each.close()
