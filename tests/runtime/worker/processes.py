"""Real worker processes, forked by the real zygote, with the test in the place of the host."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from longshore.config.model import WorkerConfig
from longshore.net.channel import SyncChannel
from longshore.proto.ipc.messages import Drain, Drained, Exited, Fork, Forked, Ready, Start, ZygoteReady

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.proto.ipc.messages import Message

__all__ = ["Hatchery", "WorkerProcess", "listening", "read_response", "running_hatchery", "write_worker"]

T = TypeVar("T")

HELLO = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


def write_worker(folder: Path, source: str = HELLO, /, *, main: str = "src/entry.py", **fields: Any) -> WorkerConfig:
    """Write a project with one module and return its configuration."""
    path = folder / main
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    values: dict[str, Any] = {"main": str(path), "module_root": str(path.parent), **fields}
    return WorkerConfig(name="test", project_dir=str(folder), **values)


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Give a listening socket on the loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as sock:
        yield sock


class WorkerProcess:
    """One worker and the host's end of its channel."""

    def __init__(self, hatchery: Hatchery, pid: int, worker_id: int, channel: SyncChannel) -> None:
        self._hatchery = hatchery
        self.pid = pid
        self.worker_id = worker_id
        self.channel = channel
        self._said: list[tuple[Message, list[int]]] = []

    def next(self, kind: type[T]) -> T:
        """Return the next message of a kind; others are kept for later."""
        message, _ = self.next_with(kind)
        return message

    def next_with(self, kind: type[T]) -> tuple[T, list[int]]:
        """Return the next message of a kind with its descriptors, which belong to the caller."""
        for index, (message, fds) in enumerate(self._said):
            if isinstance(message, kind):
                del self._said[index]
                return message, fds
        while (received := self.channel.receive()) is not None:
            message, fds = received
            if isinstance(message, kind):
                return message, fds
            self._said.append(received)
        raise AssertionError(f"the worker ended without {kind.__name__}; it said {self._said}")

    def rest(self) -> list[Message]:
        """Return everything it says until it ends the channel."""
        while (received := self.channel.receive()) is not None:
            self._said.append(received)
        said, self._said = self._said, []
        for _, fds in said:
            for fd in fds:
                os.close(fd)
        return [message for message, _ in said]

    def drain(self, timeout_s: float = 10.0) -> Drained:
        """End it, and check that it does so in order."""
        self.channel.send(Drain(timeout_s=timeout_s))
        drained = self.next(Drained)
        assert self.exit_code() == 0
        return drained

    def exit_code(self) -> int:
        """Wait for its end; negative for a signal."""
        return self._hatchery.exit_code(self.worker_id)


class Hatchery:
    """A zygote and what it said."""

    def __init__(self, channel: SyncChannel) -> None:
        self._channel = channel
        self._codes: dict[int, int] = {}
        self._count = 0

    def hatch(self, egress: socket.socket | None = None) -> WorkerProcess:
        """Fork a worker that waits for its start message; ``egress`` is its end of the channel of that name."""
        self._count += 1
        mine, its = socket.socketpair()
        mine.settimeout(None)
        with its:
            fds = [its.fileno()] if egress is None else [its.fileno(), egress.fileno()]
            self._channel.send(Fork(worker_id=self._count), fds)
        pid = self._until(Forked, self._count).pid
        return WorkerProcess(self, pid, self._count, SyncChannel(mine))

    def start(
        self, config: WorkerConfig, *listeners: socket.socket, egress: socket.socket | None = None, **options: Any
    ) -> WorkerProcess:
        """Fork a worker and say what it shall be."""
        worker = self.hatch(egress)
        start = Start(config=msgspec.Raw(msgspec.json.encode(config)), worker_id=worker.worker_id, **options)
        worker.channel.send(start, [sock.fileno() for sock in listeners])
        return worker

    @contextmanager
    def running(self, config: WorkerConfig, *listeners: socket.socket, **options: Any) -> Iterator[WorkerProcess]:
        """Give a worker that is ready; it is drained at the end if it has not ended."""
        worker = self.start(config, *listeners, **options)
        try:
            worker.next(Ready)
            yield worker
        finally:
            with contextlib.suppress(OSError):
                worker.channel.send(Drain(timeout_s=0.0))
            worker.channel.close()
            worker.exit_code()

    def exit_code(self, worker_id: int) -> int:
        """Wait for the end of a worker."""
        if worker_id not in self._codes:
            self._until(Exited, worker_id)
        return self._codes[worker_id]

    def ready(self) -> None:
        """Wait until the zygote is."""
        received = self._channel.receive()
        assert received is not None
        assert isinstance(received[0], ZygoteReady)

    def _until(self, kind: type[T], worker_id: int) -> T:
        while (received := self._channel.receive()) is not None:
            message, _ = received
            if isinstance(message, Exited):
                self._codes[message.worker_id] = message.code
            if isinstance(message, kind) and getattr(message, "worker_id", None) == worker_id:
                return message
        raise AssertionError("the zygote ended")


@contextmanager
def running_hatchery(stdout: int | None = None) -> Iterator[Hatchery]:
    """Give a zygote; ``stdout`` is where workers print to."""
    mine, its = socket.socketpair()
    with ExitStack() as stack:
        with its:
            command = [sys.executable, "-P", "-m", "longshore.runtime.zygote", str(its.fileno())]
            process = subprocess.Popen(command, pass_fds=[its.fileno()], stdout=stdout)
        stack.callback(process.wait)
        channel = SyncChannel(mine)
        stack.callback(channel.close)
        hatchery = Hatchery(channel)
        hatchery.ready()
        yield hatchery


def read_response(client: socket.socket) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Read one response and no byte more: what follows belongs to the next."""
    response = http.client.HTTPResponse(_Exact(client))  # type: ignore[arg-type]  # it only calls makefile()
    response.begin()
    body = response.read()
    return response.status, response.msg, body


class _Exact:
    """A file over a socket that reads what it is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> _Exact:
        return self

    def readline(self, limit: int = 65536) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n") and len(line) < limit and (data := self._sock.recv(1)):
            line += data
        return bytes(line)

    def read(self, count: int = -1) -> bytes:
        read = bytearray()
        while (count < 0 or len(read) < count) and (data := self._sock.recv(65536 if count < 0 else count - len(read))):
            read += data
        return bytes(read)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
