"""Runs a function of a test behind a real filter, with a real trap door in the test's loop."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from longshore.config.model import NetworkRules
from longshore.egress.audit import Audit
from longshore.egress.context import WorkerContext
from longshore.egress.judge import Judge
from longshore.egress.names import SyntheticNames
from longshore.egress.traps import Relay, TrapDoor
from longshore.sandbox.inside_sockets import InsideSockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from longshore.egress.audit import Entry
    from longshore.errors import LimitExceeded
    from longshore.proto.ipc.egress import AuditRecord

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CountingGate:
    """Lets everything through, or not, and knows what became of it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.refusing: LimitExceeded | None = None
        self.room: asyncio.Event | None = None
        self.open = 0
        self.queued = 0

    def try_admit(self, request_id: str = "") -> CountingPermit:
        assert request_id == ""
        if self.refusing is not None:
            raise self.refusing
        self.open += 1
        return CountingPermit(self)

    async def admit(self, request_id: str = "") -> CountingPermit:
        if self.room is not None:
            self.queued += 1
            await self.room.wait()
            self.refusing = None
        return self.try_admit(request_id)


class CountingPermit:
    """Of ``CountingGate``."""

    def __init__(self, gate: CountingGate) -> None:
        self.gate = gate
        self.is_used = False

    def _use(self, what: str) -> None:
        assert not self.is_used, "a permit is used once"
        self.is_used = True
        self.gate.log.append(what)

    def connected(self, sock: socket.socket, entry: Entry) -> None:
        assert sock.fileno() >= 0
        assert entry.is_settled
        self._use("connected")

    def started(self, sock: socket.socket, entry: Entry, remote_address: str, rule: str) -> None:
        assert sock.fileno() >= 0
        assert not entry.is_settled
        assert rule
        self._use(f"started {remote_address}")

    def release(self) -> None:
        self.gate.open -= 1
        self._use("release")


@dataclass
class Rig:
    """One worker's door."""

    allow: tuple[str, ...] = ("public", "local")
    deny: tuple[str, ...] = ()
    own_addresses: tuple[str, ...] = ()
    is_locked: bool = True
    relay: Relay | None = None
    gate: CountingGate = field(default_factory=CountingGate)
    records: list[AuditRecord] = field(default_factory=list)
    names: SyntheticNames = field(default_factory=SyntheticNames)
    door: TrapDoor | None = None

    def context(self) -> WorkerContext:
        unused = cast("Any", None)
        return WorkerContext(
            worker_id=7,
            config=unused,
            judge=Judge(NetworkRules(allow=self.allow, deny=self.deny), self.own_addresses),
            names=self.names,
            resolver=unused,
            gate=cast("Any", self.gate),
            audit=Audit("rig", 7, self.records.append),
            credentials=unused,
        )

    def events(self) -> list[str]:
        """The audit log in short."""
        return [f"{each.event} {each.outcome}" for each in self.records]

    @asynccontextmanager
    async def worker(
        self, function: Callable[[Any], object] | str, argument: object = None, *, python: str = sys.executable
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a process inside; ``result`` waits for it."""
        target = function if isinstance(function, str) else f"{function.__module__}:{function.__qualname__}"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            mode = "locked" if self.is_locked else "unlocked"
            process = await asyncio.create_subprocess_exec(
                python,
                "-m",
                "tests.egress.inside_main",
                str(theirs.fileno()),
                mode,
                target,
                json.dumps(argument.fileno() if isinstance(argument, socket.socket) else argument),
                pass_fds=[theirs.fileno(), *([argument.fileno()] if isinstance(argument, socket.socket) else [])],
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
            theirs.close()
            try:
                await self.open_door(ours)
                yield process
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
                if self.door is not None:
                    self.door.close()

    async def run(self, function: Callable[[Any], object] | str, argument: object = None) -> Any:
        """Return what the function returned inside."""
        async with self.worker(function, argument) as process:
            return await result(process)

    async def open_door(self, ours: socket.socket) -> None:
        """Wait for the keys of a worker, and serve it."""
        listener, helper = await _receive_keys(ours)
        self.door = TrapDoor(
            self.context(),
            listener,
            InsideSockets(socket.socket(fileno=helper)),
            is_tcp_locked=self.is_locked,
            relay=self.relay,
        )
        self.door.start()
        ours.send(b"g")


async def _receive_keys(ours: socket.socket) -> tuple[int, int]:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(ours.fileno(), ready.set_result, None)
    try:
        await ready
    finally:
        loop.remove_reader(ours.fileno())
    data, fds, _, _ = socket.recv_fds(ours, 16, 2, socket.MSG_CMSG_CLOEXEC)
    assert data == b"keys", "the worker did not come up; see its stderr"
    listener, helper = fds
    return listener, helper


async def result(process: asyncio.subprocess.Process) -> Any:
    """Wait for the end of a worker and return what its function returned."""
    assert process.stdout is not None
    output = await process.stdout.read()
    code = await process.wait()
    assert code == 0, f"the worker ended with {code}"
    return json.loads(output)


async def outside(function: Callable[[Any], object], argument: object = None) -> Any:
    """Return what the function returns in a process of its own without any filter."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.egress.inside_main",
        "0",
        "outside",
        f"{function.__module__}:{function.__qualname__}",
        json.dumps(argument),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    return await result(process)
