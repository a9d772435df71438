"""Tests of ``longshore.egress.process``: the real process, as the host starts it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from longshore.config.model import NetworkRules
from longshore.egress import process
from longshore.egress.client import BrokerDialer
from longshore.errors import PolicyDenied, SocketError
from longshore.net.channel import Channel
from longshore.proto.ipc.egress import AddWorker, Audited, AuditRecord, EgressReady, RemoveWorker, StartEgress
from longshore.testing import StreamDriver
from tests.egress.broker_rig import make_config, request
from tests.net.test_connect import silent_port
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


COMMAND = (sys.executable, "-P", "-m", "longshore.egress")


class EgressHost:
    """The host's end of the process."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self.process = process
        self.channel = channel

    def add(self, worker_id: int, **options: Any) -> BrokerDialer:
        """Add a worker, and be it."""
        mine, its = socket.socketpair()
        config = msgspec.Raw(msgspec.json.encode(options.pop("config", make_config())))
        with its:
            self.channel.send(AddWorker(worker_id=worker_id, config=config, **options), [its.fileno()])
        return BrokerDialer(Channel(mine))

    async def audited(self) -> AuditRecord:
        """Return the next record."""
        received = await self.channel.receive()
        assert received is not None, "the egress process has ended"
        message, _ = received
        assert isinstance(message, Audited)
        return message.record

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 20)


@asynccontextmanager
async def egress(folder: Path) -> AsyncIterator[EgressHost]:
    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen([*COMMAND, str(its.fileno())], pass_fds=[its.fileno()])
    channel = Channel(mine)
    try:
        channel.send(StartEgress(credentials_dir=str(folder / "store"), audit_path=str(folder / "audit.jsonl")))
        received = await channel.receive()
        assert received == (EgressReady(pid=process.pid), [])
        yield EgressHost(process, channel)
    finally:
        channel.close()
        try:
            assert await asyncio.to_thread(process.wait, 20) == 0
        finally:
            process.kill()
            process.wait()


async def test_workers_connect_through_it_each_by_its_own_rules(tmp_path: Path) -> None:
    with RawServer() as server:
        async with egress(tmp_path) as host:
            open_one = host.add(1)
            shut_one = host.add(2, config=make_config(network=NetworkRules()))
            connection = await open_one.dial(request(server.address))
            driver = StreamDriver(connection.stream)
            await driver.send(b"ping")
            async with await server.accept() as peer:
                assert await peer.receive() == b"ping"
            with pytest.raises(PolicyDenied):
                await shut_one.dial(request(server.address))
            records = [await host.audited(), await host.audited()]
            assert [(each.worker_id, each.event) for each in records] == [(1, "open"), (2, "deny")]
            driver.close()
            await open_one.aclose()
            await shut_one.aclose()
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["worker_id"], line["event"]) for line in lines[:2]] == [(1, "open"), (2, "deny")]


async def test_own_addresses_are_a_loop(tmp_path: Path) -> None:
    async with egress(tmp_path) as host:
        dialer = host.add(1, own_addresses=("0.0.0.0:8787",))
        with pytest.raises(PolicyDenied, match="loop detected"):
            await dialer.dial(request("127.0.0.1:8787"))
        await dialer.aclose()


async def test_a_worker_that_is_removed_has_nothing_more(tmp_path: Path) -> None:
    with silent_port() as port:
        async with egress(tmp_path) as host:
            gone, other = host.add(1), host.add(2)
            dialing = asyncio.create_task(gone.dial(request(f"127.0.0.1:{port}")))
            await asyncio.sleep(0)
            host.channel.send(RemoveWorker(worker_id=1))
            host.channel.send(RemoveWorker(worker_id=1))  # once is enough
            with pytest.raises(SocketError, match="is gone"):
                await dialing
            with RawServer() as server:
                connection = await other.dial(request(server.address))
                connection.stream.close()
                (await server.accept()).close()
            await gone.aclose()
            await other.aclose()


async def test_a_worker_that_says_nonsense_hurts_nobody_else(tmp_path: Path) -> None:
    async with egress(tmp_path) as host:
        mine, its = socket.socketpair()
        with its:
            config = msgspec.Raw(msgspec.json.encode(make_config()))
            host.channel.send(AddWorker(worker_id=1, config=config), [its.fileno()])
        other = host.add(2)
        with mine:
            mine.setblocking(False)
            mine.send(b"\xff" * 4096)
            try:
                assert await asyncio.get_running_loop().sock_recv(mine, 1) == b""
            except ConnectionResetError:
                pass  # it has not read everything
            assert (await host.audited()).event == "refuse"
        with RawServer() as server:
            connection = await other.dial(request(server.address))
            connection.stream.close()
            (await server.accept()).close()
        await other.aclose()


async def test_signals_for_the_host_pass_it_by(tmp_path: Path) -> None:
    async with egress(tmp_path) as host:
        dialer = host.add(1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(host.process.pid, number)
        with RawServer() as server:
            connection = await dialer.dial(request(server.address))
            connection.stream.close()
            (await server.accept()).close()
        await dialer.aclose()


async def test_it_ends_with_its_host_and_connections_go_on(tmp_path: Path) -> None:
    with RawServer() as server:
        async with egress(tmp_path) as host:
            dialer = host.add(1)
            connection = await dialer.dial(request(server.address))
            peer = await server.accept()
            host.channel.close()
            assert await host.ended() == 0
            driver = StreamDriver(connection.stream)
            await peer.send(b"still here")
            assert await driver.receive() == b"still here"
            with pytest.raises(SocketError, match="the egress process of the host is gone"):
                await dialer.dial(request(server.address))
            driver.close()
            peer.close()
            await dialer.aclose()


async def test_when_it_is_killed_every_dial_fails(tmp_path: Path) -> None:
    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen([*COMMAND, str(its.fileno())], pass_fds=[its.fileno()])
    host = EgressHost(process, Channel(mine))
    host.channel.send(StartEgress(credentials_dir=str(tmp_path)))
    await host.channel.receive()
    dialer = host.add(1)
    with silent_port() as port:
        dialing = asyncio.create_task(dialer.dial(request(f"127.0.0.1:{port}")))
        await asyncio.sleep(0)
        process.kill()
        with pytest.raises(SocketError, match="the egress process of the host is gone"):
            await dialing
    assert await host.ended() == -signal.SIGKILL
    assert await host.channel.receive() is None
    host.channel.close()
    await dialer.aclose()


@pytest.mark.parametrize("first", [b"", b"\x00\x00", RemoveWorker(worker_id=1)])
def test_a_host_that_never_starts_it(first: bytes | RemoveWorker) -> None:
    from longshore.proto.ipc.frames import make_frame  # noqa: PLC0415 - used here only

    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen([*COMMAND, str(its.fileno())], pass_fds=[its.fileno()], stderr=subprocess.PIPE)
    with process, mine:
        mine.sendall(first if isinstance(first, bytes) else make_frame(first))
        if isinstance(first, bytes):
            mine.close()
        _, errors = process.communicate(timeout=20)
    if isinstance(first, bytes):
        assert (process.returncode, errors) == (0, b"")
    else:
        assert process.returncode == 70
        assert b"the first message must be StartEgress, not RemoveWorker" in errors


async def test_a_host_that_does_not_read_costs_no_memory_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "_MOST_UNSENT_BYTES", 10_000)
    mine, its = socket.socketpair()
    ours, theirs = Channel(mine), Channel(its)
    serving = process.EgressProcess(ours)
    record = AuditRecord(event="deny", worker="shop", worker_id=1, detail="x" * 1000)
    for _ in range(1000):
        serving._untold.append(record)
        serving._tell_now()
        await asyncio.sleep(0)
    assert ours.unsent_bytes < 20_000
    lost = serving._dropped
    assert lost > 0
    for _ in range(1000 - lost):
        assert await theirs.receive() == (Audited(record=record), [])
    serving._untold.append(record)
    serving._tell_now()
    assert await theirs.receive() == (Audited(record=record), [])
    assert f"the host has missed {lost} records of the audit log" in caplog.text
    assert serving._telling is None
    ours.close()
    theirs.close()


async def test_it_may_open_as_many_files_as_the_system_lets_it(tmp_path: Path) -> None:
    async with egress(tmp_path) as host:
        limits = await asyncio.to_thread(Path(f"/proc/{host.process.pid}/limits").read_text)
        (line,) = [each for each in limits.splitlines() if each.startswith("Max open files")]
        soft, hard = line.split()[3:5]
        assert soft == hard
