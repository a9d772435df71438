"""``PoolThread``: the pool process without a process, for a worker that runs inside a test.

It has a thread and an event loop of its own, and makes its connections there: a worker that blocks its loop in a
driver must not block the pool that this driver waits for.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import msgspec

from longshore.credentials.store import open_store
from longshore.egress.contexts import ContextMaker
from longshore.egress.flows import Flows
from longshore.egress.pool_dials import PoolDials
from longshore.errors import PolicyDenied, SocketError
from longshore.pool.binding.service import BindingService
from longshore.pool.servers.login_failed import LoginFailed
from longshore.proto.ipc.pool import DialServer
from longshore.runtime.host.databases import WorkerDatabases, known_to_egress
from longshore.testing._loop_thread import LoopThread

if TYPE_CHECKING:
    import socket

    from longshore.config.model import WorkerConfig
    from longshore.net.opening import Opened
    from longshore.proto.ipc.egress import AuditRecord
    from longshore.proto.ipc.pool import DefineDatabase

__all__ = ["PoolThread"]

_WORKER = 1

logger = logging.getLogger("longshore.egress")


class PoolThread:
    """Serves the databases of one worker until ``close()``; a ``longshore.egress.pool_link.PoolDoor``.

    Args:
        config: of the worker.
        databases: those that the pool serves; they belong to the thread.
    """

    def __init__(self, config: WorkerConfig, databases: WorkerDatabases) -> None:
        self._databases = databases
        self.config = databases.for_worker(config)
        """As the worker gets it."""
        self._thread = LoopThread(f"pool of {config.name}")
        self._thread.run(self._start, config)

    def pass_client(self, worker_id: int, binding: str, sock: socket.socket) -> None:
        """Take a connection of the worker; see ``PoolDoor``."""
        del worker_id
        self._thread.loop.call_soon_threadsafe(self._service.add_client, _WORKER, binding, sock.dup())

    def define(self, worker_id: int, definition: DefineDatabase) -> None:
        """Take what a user name stands for; see ``PoolDoor``."""
        del worker_id
        self._thread.loop.call_soon_threadsafe(self._service.define, _WORKER, definition)

    def close(self) -> None:
        """End it. Idempotent."""
        try:
            self._thread.run(self._stop)
        finally:
            self._thread.close()
            self._databases.close()

    async def _start(self, config: WorkerConfig) -> None:
        self._flows = Flows()
        contexts = ContextMaker(open_store(os.environ), self._flows, _log)
        context = contexts.make(_WORKER, msgspec.structs.replace(config, hyperdrive=known_to_egress(config)))
        self._context = context
        self._dials = PoolDials(contexts)
        self._dials.add_worker(context)
        self._service = BindingService(self)
        self._service.add(self._databases.message, [each.dup() for each in self._databases.listeners])

    async def _stop(self) -> None:
        await self._service.aclose()
        await self._dials.aclose()
        await self._context.resolver.aclose()
        self._context.gate.close()
        self._flows.close()

    async def dial(self, worker_id: int, binding: str, address: str, *, is_declared: bool) -> socket.socket:
        """Connect to a server; see ``WorkerDialer``."""
        ask = DialServer(dial_id=0, worker_id=worker_id, binding=binding, address=address, is_declared=is_declared)
        taken: list[socket.socket] = []

        def take(opened: Opened) -> None:
            taken.append(opened.sock.dup())

        try:
            await self._dials.dial(ask, take)
        except PolicyDenied as exc:
            raise LoginFailed(f"{exc}: the rules of the worker do not let it connect there", is_permanent=True) from exc
        except SocketError as exc:
            raise ConnectionError(str(exc)) from exc
        taken[0].setblocking(False)
        return taken[0]


def _log(record: AuditRecord) -> None:
    if record.event in {"deny", "limit"}:
        logger.warning("%s:%d: %s: %s", record.name, record.port, record.outcome, record.rule or record.detail)
