"""A worker process whose connections are opened by an egress process: who asked is told, and the end is clean."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from longshore.config.model import NetworkRules
from longshore.net.channel import SyncChannel
from longshore.proto.ipc.egress import AddWorker, Audited, EgressReady, StartEgress
from longshore.proto.ipc.messages import ConnectionOpened, HandlerFailed, RequestFinished
from tests.runtime.worker.processes import listening, write_worker
from tests.runtime.worker.test_process import get, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.egress import AuditRecord
    from tests.runtime.worker.processes import Hatchery, WorkerProcess
    from tests.server_process import Server

CONNECTS = """
import asyncio
from longshore import connect
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/thread":
            return Response(await asyncio.to_thread(asyncio.run, self.echo()))
        if request.path == "/fetch":
            try:
                await fetch("http://127.0.0.1:1/")
            except OSError as error:
                return Response(type(error).__name__)
        if request.path == "/driver":
            reader, writer = await asyncio.open_connection(*self.env.PLACE)
            writer.close()
            return Response("driver")
        return Response(await self.echo())

    async def echo(self):
        async with connect(tuple(self.env.PLACE), allow_half_open=True) as echo:
            await echo.writable.write(b"hello")
            await echo.writable.close()
            return await echo.readable.read()
"""


class Egress:
    """A real egress process, with the test in the place of the host."""

    def __init__(self, channel: SyncChannel, process: subprocess.Popen[bytes]) -> None:
        self._channel = channel
        self.process = process

    def add(self, worker_id: int, config: WorkerConfig) -> socket.socket:
        """Return the worker's end of its channel."""
        mine, its = socket.socketpair()
        with its:
            raw = msgspec.Raw(msgspec.json.encode(config))
            self._channel.send(AddWorker(worker_id=worker_id, config=raw), [its.fileno()])
        return mine

    def end(self) -> None:
        """Let it end, as with its host."""
        self._channel.close()
        assert self.process.wait(20) == 0

    def audited(self) -> AuditRecord:
        """Return the next record that is no end of a connection."""
        while (received := self._channel.receive()) is not None:
            message, _ = received
            assert isinstance(message, Audited)
            if message.record.event != "close":
                return message.record
        raise AssertionError("the egress process has ended")


@contextmanager
def running_egress(folder: Path) -> Iterator[Egress]:
    mine, its = socket.socketpair()
    with its:
        command = [sys.executable, "-P", "-m", "longshore.egress", str(its.fileno())]
        process = subprocess.Popen(command, pass_fds=[its.fileno()])
    channel = SyncChannel(mine)
    try:
        channel.send(StartEgress(credentials_dir=str(folder / "store")))
        received = channel.receive()
        assert received is not None
        assert isinstance(received[0], EgressReady)
        yield Egress(channel, process)
    finally:
        channel.close()
        process.wait(20)


def write_connecting(folder: Path, server: Server, *allow: str) -> WorkerConfig:
    rules = NetworkRules(allow=allow)
    return write_worker(folder, CONNECTS, vars={"PLACE": ["127.0.0.1", server.port]}, network=rules)


@contextmanager
def connecting_worker(
    hatchery: Hatchery, folder: Path, config: WorkerConfig, known: WorkerConfig | None = None, **options: Any
) -> Iterator[tuple[Egress, socket.socket, WorkerProcess]]:
    """Give a running worker, whose configuration is ``known`` to its egress process."""
    with ExitStack() as stack:
        egress = stack.enter_context(running_egress(folder))
        sock = stack.enter_context(listening())
        with egress.add(1, known or config) as channel:
            worker = stack.enter_context(hatchery.running(config, sock, egress=channel, **options))
        yield egress, sock, worker


def test_connections_go_through_the_egress_process_on_behalf_of_their_request(
    hatchery: Hatchery, tmp_path: Path, echo_server: Server
) -> None:
    config = write_connecting(tmp_path, echo_server, "local")
    with connecting_worker(hatchery, tmp_path, config) as (egress, sock, worker):
        assert get(port_of(sock)) == (200, b"hello")
        record = egress.audited()
        assert (record.event, record.via, record.rule) == ("open", "connect()", "local")
        assert record.request_id == worker.next(RequestFinished).request_id
        assert get(port_of(sock), "/thread") == (200, b"hello")
        assert egress.audited().event == "open"
        assert get(port_of(sock), "/fetch") == (200, b"ConnectError")
        record = egress.audited()
        assert (record.event, record.outcome, record.via) == ("fail", "refused", "fetch()")


def test_the_rules_are_those_of_the_egress_process(hatchery: Hatchery, tmp_path: Path, echo_server: Server) -> None:
    """What the worker has been told, and could have changed, does not matter."""
    config = write_connecting(tmp_path, echo_server, "local")
    strict = write_connecting(tmp_path, echo_server, "public")
    with connecting_worker(hatchery, tmp_path, config, strict) as (egress, sock, worker):
        assert get(port_of(sock))[0] == 500
        assert worker.next(HandlerFailed).report.type == "longshore.errors.PolicyDenied"
        record = egress.audited()
        assert (record.event, record.outcome) == ("deny", "blocked by policy")
        assert json.loads(msgspec.json.encode(record))["name"] == "127.0.0.1"


@pytest.mark.parametrize("has_traps", [False, True])
def test_what_the_egress_process_sees_the_worker_does_not_watch(
    hatchery: Hatchery, tmp_path: Path, echo_server: Server, has_traps: bool
) -> None:
    config = write_connecting(tmp_path, echo_server, "local")
    rig = connecting_worker(hatchery, tmp_path, config, log_connections=True, has_traps=has_traps)
    with rig as (_, sock, worker):
        assert get(port_of(sock), "/driver") == (200, b"driver")
        assert get(port_of(sock)) == (200, b"hello")
        told = [worker.next(ConnectionOpened).via for _ in range(1 if has_traps else 2)]
        assert told == (["connect()"] if has_traps else ["asyncio", "connect()"])


def test_a_worker_goes_on_without_its_egress_process(hatchery: Hatchery, tmp_path: Path, echo_server: Server) -> None:
    config = write_connecting(tmp_path, echo_server, "local")
    with connecting_worker(hatchery, tmp_path, config) as (egress, sock, worker):
        egress.end()
        assert get(port_of(sock))[0] == 500
        report = worker.next(HandlerFailed).report
        assert report.message == "cannot connect: the egress process of the host is gone"
        worker.drain()
