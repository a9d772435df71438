"""``WorkerDoors``: all the ways in which one worker reaches the egress process."""

from __future__ import annotations

import logging
import socket
import sys
from typing import TYPE_CHECKING, Final

from longshore.egress.control import ControlDoor
from longshore.egress.dns_server import NameServer
from longshore.egress.pool_link import NoPool
from longshore.egress.relay import BindingRelay
from longshore.net.channel import Channel
from longshore.net.fdpass import Inbox, close_all
from longshore.sandbox.inside_sockets import InsideSockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.egress.context import WorkerContext
    from longshore.egress.pool_link import PoolDoor
    from longshore.egress.traps import TrapDoor
    from longshore.proto.ipc.egress import Jailed

__all__ = ["MAX_ASK_BYTES", "WorkerDoors", "load_traps"]

MAX_ASK_BYTES: Final = 64 * 1024
"""A ``Dial`` is some hundred bytes; a worker must not make us hold more than this."""

_JAILED_DESCRIPTORS: Final = 4

logger = logging.getLogger(__name__)


def load_traps() -> None:
    """Load what only workers in a jail need, before the first of them waits for it with its first trapped call."""
    if sys.platform == "linux":
        import longshore.egress.traps  # noqa: F401, PLC0415 - of Linux only


class WorkerDoors:
    """Opens the control door at once, and the others when the worker says that it has a namespace of its own.

    Args:
        context: of the worker.
        sock: our end of its egress channel; belongs to this object from now on.
        on_failure: told why the worker cannot be served; all its doors are shut then, but for ``aclose()``.
        pool: serves its ``[[hyperdrive]]`` bindings.
    """

    def __init__(
        self,
        context: WorkerContext,
        sock: socket.socket,
        on_failure: Callable[[str], None] | None = None,
        pool: PoolDoor | None = None,
    ) -> None:
        self._context = context
        self._on_failure = on_failure
        channel = Channel(sock, Inbox(MAX_ASK_BYTES))
        self._control = ControlDoor(context, channel, self._on_jailed, pool or NoPool())
        self._relay = BindingRelay(context, pool)
        self._traps: TrapDoor | None = None
        self._names: NameServer | None = None
        self._is_closed = False
        self._control.start()

    async def aclose(self) -> None:
        """Close all doors, and forget what the worker has open. Idempotent.

        Cancellation: they are closed all the same.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._traps is not None:
            self._traps.close()
        self._relay.close()
        try:
            await self._control.aclose()
        finally:
            if self._names is not None:
                await self._names.aclose()
            await self._context.resolver.aclose()
            self._context.gate.close()

    def _on_jailed(self, message: Jailed, fds: list[int]) -> None:
        if len(fds) != _JAILED_DESCRIPTORS or self._is_closed:
            close_all(fds)
            return
        try:
            self._open_traps(message, fds)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the worker must not wait for us
            # A listener that is left open would hold the worker in its first call, until somebody loses patience.
            close_all(fds)
            self._fail(exc)

    def _fail(self, error: Exception) -> None:
        logger.error("the doors of worker %d cannot be opened", self._context.worker_id, exc_info=error)
        if self._traps is not None:
            self._traps.close()
        self._control.abort()
        if self._on_failure is not None:
            self._on_failure(f"the egress process cannot serve it: {error}")

    def _open_traps(self, message: Jailed, fds: list[int]) -> None:
        """Open the doors of a worker in a jail; what is taken of ``fds`` is not in it any more."""
        from longshore.egress.traps import TrapDoor  # noqa: PLC0415 - of Linux only, like everything that it needs

        udp, tcp, inside = (_taken(fds) for _ in range(3))
        self._names = NameServer(self._context, udp, tcp)
        self._names.start()
        self._traps = TrapDoor(
            self._context, fds[0], InsideSockets(inside), is_tcp_locked=message.is_tcp_locked, relay=self._relay
        )
        fds.clear()
        self._traps.start()
        self._control.reach_inside = self._traps.reach_inside


def _taken(fds: list[int]) -> socket.socket:
    """Take the socket behind the listener out of ``fds``."""
    sock = socket.socket(fileno=fds[1])
    del fds[1]
    return sock
