"""``PoolDials``: opens the pool's connections to database servers (shell).

What the configuration declares may be connected to, whatever the rules of the worker say; it is looked up by the
worker's ``[network] hosts``, and does not count for its limits, because it outlives its processes. What the worker has
named itself (``env.DB.get(…)``) is judged, counted and audited like a ``connect()`` of its own: otherwise the pool
would be a way to addresses that it may not reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.model import EgressLimits
from longshore.egress.dial import OutboundDial
from longshore.errors import SocketError
from longshore.net.opening import limited_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.config.model import WorkerConfig
    from longshore.egress.context import WorkerContext
    from longshore.egress.contexts import ContextMaker
    from longshore.net.opening import Opened
    from longshore.proto.ipc.pool import DialServer

__all__ = ["CONNECT_TIMEOUT_S", "PoolDials"]

CONNECT_TIMEOUT_S: Final = 60.0
"""As of ``connect()``; the pool gives up sooner, by its own measure."""


class PoolDials:
    """Opens connections on behalf of workers; made inside the running loop.

    Args:
        contexts: makes what a dial is judged by.
    """

    def __init__(self, contexts: ContextMaker) -> None:
        self._contexts = contexts
        self._workers: dict[int, WorkerContext] = {}
        self._declared: dict[tuple[str, bytes], WorkerContext] = {}
        self._retired: list[WorkerContext] = []

    def add_worker(self, context: WorkerContext) -> None:
        """Let the pool dial on behalf of a worker."""
        if any(each.is_private for each in context.config.hyperdrive):
            self._workers[context.worker_id] = context

    def remove_worker(self, worker_id: int) -> None:
        """Do not any more."""
        self._workers.pop(worker_id, None)

    async def dial(self, ask: DialServer, hand_out: Callable[[Opened], None]) -> None:
        """Connect, and give the connection away.

        Args:
            ask: of the pool.
            hand_out: called with the connection, whose socket is closed afterwards.

        Raises:
            SocketError: as ``connect()``.

        Cancellation: safe.
        """
        worker = self._workers.get(ask.worker_id)
        if worker is None:
            raise SocketError("the worker that asked for it has ended", during="connect")
        dial = OutboundDial(self._context_of_declared(worker.config) if ask.is_declared else worker, ask)
        try:
            address = str(dial.ask.request.address)
            async with limited_time(address, CONNECT_TIMEOUT_S, dial.progress):
                if not dial.begin():
                    await dial.finish()
            opened = dial.take()
            with opened.sock as sock:
                host, port = sock.getsockname()[:2]
                dial.track(opened)
                hand_out(opened)
        except BaseException as exc:
            dial.failed(exc)
            raise
        dial.opened(opened, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    async def aclose(self) -> None:
        """Forget everything.

        Cancellation: safe.
        """
        contexts, self._declared = self._declared, {}
        for context in (*contexts.values(), *self._retired):
            context.gate.close()
            await context.resolver.aclose()

    def _context_of_declared(self, config: WorkerConfig) -> WorkerContext:
        """Return what is common to the processes of a worker: of its limits none."""
        key = config.name, msgspec.json.encode(config.network.hosts)
        context = self._declared.get(key)
        if context is None:
            for old in [each for each in self._declared if each[0] == config.name]:
                self._retired.append(self._declared.pop(old))  # what it has opened is still followed
            network = msgspec.structs.replace(config.network, limits=EgressLimits())
            context = self._contexts.make(0, msgspec.structs.replace(config, network=network))
            self._declared[key] = context
        return context
