"""``WorkerDoors``: all the ways in which one worker reaches the egress process."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final

from longshore.egress.control import ControlDoor
from longshore.egress.dns_server import NameServer
from longshore.egress.relay import BindingRelay
from longshore.net.channel import Channel
from longshore.net.fdpass import Inbox, close_all
from longshore.sandbox.inside_sockets import InsideSockets

if TYPE_CHECKING:
    from longshore.egress.context import WorkerContext
    from longshore.egress.traps import TrapDoor
    from longshore.proto.ipc.egress import Jailed

__all__ = ["MAX_ASK_BYTES", "WorkerDoors"]

MAX_ASK_BYTES: Final = 64 * 1024
"""A ``Dial`` is some hundred bytes; a worker must not make us hold more than this."""

_JAILED_DESCRIPTORS: Final = 4

logger = logging.getLogger(__name__)


class WorkerDoors:
    """Opens the control door at once, and the others when the worker says that it has a namespace of its own.

    Args:
        context: of the worker.
        sock: our end of its egress channel; belongs to this object from now on.
    """

    def __init__(self, context: WorkerContext, sock: socket.socket) -> None:
        self._context = context
        self._control = ControlDoor(context, Channel(sock, Inbox(MAX_ASK_BYTES)), self._on_jailed)
        self._relay = BindingRelay(context)
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
        from longshore.egress.traps import TrapDoor  # noqa: PLC0415 - of Linux only, like everything that it needs

        notify, udp, tcp, inside = fds
        self._names = NameServer(self._context, socket.socket(fileno=udp), socket.socket(fileno=tcp))
        self._names.start()
        self._traps = TrapDoor(
            self._context,
            notify,
            InsideSockets(socket.socket(fileno=inside)),
            is_tcp_locked=message.is_tcp_locked,
            relay=self._relay,
        )
        self._traps.start()
