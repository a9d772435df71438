"""The egress process: makes every outbound connection of the workers of one host.

Started by the host as ``python -P -m longshore.egress FD``, where FD is its end of an ``AF_UNIX`` socket pair.
Credentials and policy live here and not with the workers; and not in the host's loop, which may stall without stalling
connects.

Rules that must not be broken:

1. It ends when its channel ends, which is the death of the host, however that died. Connections that workers have are
   theirs, and go on; nobody can open new ones.
2. Signals of a terminal or a service manager are the host's business, except SIGHUP, which opens the audit log anew.
3. What a worker says can break its own channel, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from longshore.config.model import WorkerConfig
from longshore.credentials.store import open_store
from longshore.egress.audit_trail import AuditTrail
from longshore.egress.contexts import ContextMaker
from longshore.egress.flows import Flows
from longshore.egress.pool_dials import PoolDials
from longshore.egress.pool_link import PoolLink
from longshore.egress.worker_doors import WorkerDoors, load_traps
from longshore.net.fdpass import close_all
from longshore.net.service_process import run_service
from longshore.proto.ipc.egress import AddWorker, Audited, DoorsFailed, EgressReady, RemoveWorker, StartEgress
from longshore.proto.ipc.frames import FrameError
from longshore.proto.ipc.pool import AttachPool

if TYPE_CHECKING:
    from longshore.net.channel import Channel
    from longshore.net.fdpass import Received
    from longshore.proto.ipc.egress import AuditRecord
    from longshore.proto.ipc.messages import Message

__all__ = ["EgressProcess", "main", "run_egress"]

# A host that is woken for every record takes the processor from those who connect.
_TELL_EVERY_S = 0.02
# Of records for a host that does not read; what comes on top is in the audit log, and nowhere else.
_MOST_UNSENT_BYTES = 4 << 20

_decode_config = msgspec.json.Decoder(WorkerConfig).decode

logger = logging.getLogger(__name__)


class EgressProcess:
    """Serves the workers that the host names; made inside the running loop.

    Args:
        channel: to the host.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._workers: dict[int, WorkerDoors] = {}
        self._untold: list[AuditRecord] = []
        self._telling: asyncio.TimerHandle | None = None
        self._dropped = 0

    async def run(self) -> None:
        """Serve until the host ends.

        Raises:
            TypeError: the host's first message is not ``StartEgress``.

        Cancellation: gives everything up.
        """
        received = await self._receive()
        if received is None:
            return  # the host has changed its mind
        start, fds = received
        close_all(fds)
        if not isinstance(start, StartEgress):
            raise TypeError(f"the first message must be StartEgress, not {type(start).__name__}")
        store = open_store(os.environ, Path(start.credentials_dir))
        trail = AuditTrail(start.audit_path, self._tell)
        flows = Flows()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, trail.reopen)
        try:
            contexts = ContextMaker(store, flows, trail.write)
            self._dials = PoolDials(contexts)
            self._pool = PoolLink(self._dials)
            self._channel.send(EgressReady(pid=os.getpid()))
            await self._serve(contexts)
        finally:
            await self._end()
            flows.close()
            trail.close()

    async def _serve(self, contexts: ContextMaker) -> None:
        while (received := await self._receive()) is not None:
            message, fds = received
            try:
                await self._obey(message, fds, contexts)
            finally:
                close_all(fds)

    async def _obey(self, message: Message, fds: list[int], contexts: ContextMaker) -> None:
        match message:
            case AddWorker(worker_id=worker_id, config=config, own_addresses=own_addresses):
                sock = socket.socket(fileno=fds.pop())
                context = contexts.make(worker_id, _decode_config(config), own_addresses)
                self._dials.add_worker(context)
                on_failure = partial(self._tell_failure, worker_id)
                self._workers[worker_id] = WorkerDoors(context, sock, on_failure, self._pool)
            case AttachPool():
                self._pool.attach(socket.socket(fileno=fds.pop()))
            case RemoveWorker(worker_id=worker_id):
                self._dials.remove_worker(worker_id)
                doors = self._workers.pop(worker_id, None)
                if doors is not None:
                    await doors.aclose()
            case _:
                raise AssertionError(f"not for an egress process: {type(message).__name__}")

    async def _receive(self) -> Received | None:
        try:
            return await self._channel.receive()
        except (OSError, FrameError):
            return None  # the host died, perhaps in the middle of a message

    async def _end(self) -> None:
        workers, self._workers = self._workers, {}
        for doors in workers.values():
            await doors.aclose()
        await self._pool.aclose()
        await self._dials.aclose()

    def _tell_failure(self, worker_id: int, error: str) -> None:
        self._channel.send(DoorsFailed(worker_id=worker_id, error=error))

    def _tell(self, record: AuditRecord) -> None:
        self._untold.append(record)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_EVERY_S, self._tell_now)

    def _tell_now(self) -> None:
        self._telling = None
        untold, self._untold = self._untold, []
        if self._channel.unsent_bytes > _MOST_UNSENT_BYTES:
            self._dropped += len(untold)
            return
        if self._dropped:
            logger.warning("the host has missed %d records of the audit log: it did not read", self._dropped)
            self._dropped = 0
        for record in untold:
            self._channel.send(Audited(record=record))


def run_egress(control: socket.socket) -> int:
    """Serve until the host ends; return the exit code.

    Args:
        control: our end of the channel with the host; ``StartEgress`` is its first message, ``EgressReady`` the answer.
    """
    load_traps()
    return run_service(control, _serve, _loop_class(), (signal.SIGTERM, signal.SIGINT))


async def _serve(channel: Channel) -> None:
    await EgressProcess(channel).run()


def _loop_class() -> Any:
    """Return uvloop's loop where it is installed, Python's otherwise."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - absent on PyPy and Windows

        return uvloop.Loop
    return asyncio.SelectorEventLoop


def main(arguments: list[str]) -> int:
    """Be the egress process of the host at the other end of descriptor ``arguments[0]``; return the exit code."""
    (fd,) = arguments
    return run_egress(socket.socket(fileno=int(fd)))
