"""The host's end of the egress process: what it says, and what it hears."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import pytest

from longshore.config.model import HyperdriveBinding, NetworkRules, WorkerConfig
from longshore.net.channel import Channel
from longshore.proto.ipc.egress import (
    Audited,
    AuditRecord,
    Dial,
    DoorsFailed,
    EgressReady,
    RemoveWorker,
    StartEgress,
)
from longshore.runtime.host.egress_process import EgressProcess

START = StartEgress(credentials_dir="/no/such/folder")
CONFIG = WorkerConfig(
    name="w",
    main="/p/entry.py",
    module_root="/p",
    project_dir="/p",
    vars={"A": "s3cret"},
    secrets={"B": "s3cret"},
    hyperdrive=(HyperdriveBinding(binding="DB", connection_string="postgres://u:s3cret@h/d"),),
    network=NetworkRules(allow=("local",)),
)

# Tells back what it hears, in the form of audit records, and passes each worker's channel a message.
ECHO = """
import os, socket, sys
from longshore.net.channel import SyncChannel
from longshore.proto.ipc.egress import *
host = SyncChannel(socket.socket(fileno=int(sys.argv[1])))
def tell(detail, worker_id=0):
    host.send(Audited(record=AuditRecord(event="refuse", worker="w", worker_id=worker_id, detail=detail)))
while (received := host.receive()) is not None:
    message, fds = received
    if isinstance(message, StartEgress):
        host.send(EgressReady(pid=os.getpid()))
        tell(message.credentials_dir + " " + os.environ.get("SECRET", ""))
    elif isinstance(message, AddWorker):
        tell(bytes(message.config).decode() + repr(message.own_addresses), message.worker_id)
        worker = SyncChannel(socket.socket(fileno=fds[0]))
        worker.send(DialFailed(dial_id=worker.receive()[0].dial_id, failure=Failure(kind="SocketError", message="no")))
        worker.close()
    else:
        tell(type(message).__name__, message.worker_id)
""".replace(
    "from longshore.proto.ipc.egress import *",
    """
from longshore.proto.ipc.egress import *
from longshore.proto.ipc.failure import Failure""",
)


def command(program: str) -> list[str]:
    return [sys.executable, "-c", program]


class Egress:
    """An egress process and what it said; None is its end."""

    def __init__(self, program: str) -> None:
        self.events: asyncio.Queue[EgressReady | Audited | DoorsFailed | None] = asyncio.Queue()
        self.process = EgressProcess(
            START, self.events.put_nowait, lambda: self.events.put_nowait(None), command=command(program)
        )

    async def record(self) -> AuditRecord:
        event = await self.events.get()
        assert isinstance(event, Audited)
        return event.record


async def test_it_starts_with_the_hosts_environment_and_says_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    egress = Egress(ECHO)
    assert await egress.events.get() == EgressReady(pid=egress.process.pid)
    assert (await egress.record()).detail == "/no/such/folder of the host"
    await egress.process.close()
    assert egress.events.empty(), "an end that was asked for is not told"


async def test_a_worker_gets_a_channel_and_its_values_stay_here() -> None:
    egress = Egress(ECHO)
    with egress.process.add_worker(7, CONFIG, ("127.0.0.1:8787",)) as sock:
        channel = Channel(sock)
        channel.send(Dial(dial_id=3, address="localhost:1"))
        answer = await channel.receive()
        assert answer is not None
        assert getattr(answer[0], "dial_id", None) == 3
        assert await channel.receive() is None, "the host keeps no end of its own"
        channel.close()
    await egress.events.get()
    await egress.record()
    record = await egress.record()
    assert (record.worker_id, "s3cret" in record.detail) == (7, False)
    text, _, addresses = record.detail.rpartition("}")
    assert addresses == "('127.0.0.1:8787',)"
    known = msgspec.json.decode(text + "}", type=WorkerConfig)
    assert (known.name, known.network.allow) == ("w", ("local",))
    egress.process.remove_worker(7)
    assert await egress.record() == AuditRecord(event="refuse", worker="w", worker_id=7, detail=RemoveWorker.__name__)
    await egress.process.close()


async def test_the_log_is_opened_anew_when_asked() -> None:
    egress = Egress("""
import signal, socket, sys
from longshore.net.channel import SyncChannel
from longshore.proto.ipc.egress import Audited, AuditRecord, EgressReady
host = SyncChannel(socket.socket(fileno=int(sys.argv[1])))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
host.send(EgressReady(pid=1))
signal.sigwait([signal.SIGHUP])
host.send(Audited(record=AuditRecord(event="refuse", worker="w", worker_id=0, detail="anew")))
while host.receive() is not None:
    pass
""")
    await egress.events.get()
    egress.process.reopen_log()
    assert (await egress.record()).detail == "anew"
    await egress.process.close()


async def test_an_end_is_told_once() -> None:
    egress = Egress("raise SystemExit(1)")
    assert await egress.events.get() is None
    await egress.process.close()
    assert egress.events.empty()


async def test_a_program_that_is_not_there_is_an_error_that_leaves_nothing() -> None:
    with pytest.raises(FileNotFoundError):
        EgressProcess(START, lambda event: None, lambda: None, command=["/no/such/program"])
