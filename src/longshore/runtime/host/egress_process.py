"""The host's end of the egress process, which makes the outbound connections of all workers (shell).

It is a process of its own so that a host which is busy, with a log or a reload, delays no connection, and a worker's
flood of connections delays no host. It alone has the keys of credentials: it inherits the host's whole environment.
"""

from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from longshore.proto.ipc.egress import AddWorker, Audited, DoorsFailed, EgressReady, RemoveWorker
from longshore.proto.ipc.pool import AttachPool
from longshore.runtime.host.child_process import ChildProcess
from longshore.runtime.host.databases import known_to_egress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.egress import StartEgress
    from longshore.proto.ipc.messages import Message

__all__ = ["EGRESS_COMMAND", "EgressProcess"]

EGRESS_COMMAND = (sys.executable, "-P", "-m", "longshore.egress")

EgressEvent = EgressReady | Audited | DoorsFailed


class EgressProcess:
    """A running egress process; made inside the running loop.

    Args:
        start: the first message.
        on_event: called for everything it says.
        on_end: called once when it is gone without having been closed.
        command: what to run; the descriptor's number is appended.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        start: StartEgress,
        on_event: Callable[[EgressEvent], None],
        on_end: Callable[[], None],
        *,
        command: Sequence[str] = EGRESS_COMMAND,
    ) -> None:
        self._on_event = on_event
        self._child = ChildProcess(command, self._take, on_end, name="longshore egress")
        self._child.send(start)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def add_worker(self, worker_id: int, config: WorkerConfig, own_addresses: tuple[str, ...]) -> socket.socket:
        """Announce a worker; return its end of its channel to the egress process, for the zygote to pass on.

        Args:
            worker_id: counts all workers of the host.
            config: what it may reach.
            own_addresses: ``ip:port`` at which the host listens.

        Raises:
            OSError: there are too many open files.
        """
        mine, its = socket.socketpair()
        with mine:
            try:
                message = AddWorker(worker_id=worker_id, config=_known(config), own_addresses=own_addresses)
                self._child.send(message, [mine.fileno()])
            except BaseException:
                its.close()
                raise
        return its

    def remove_worker(self, worker_id: int) -> None:
        """Say that a worker process is gone."""
        self._child.send(RemoveWorker(worker_id=worker_id))

    def attach_pool(self, sock: socket.socket) -> None:
        """Give it its end of a channel to the pool process; the caller closes its own copy."""
        self._child.send(AttachPool(), [sock.fileno()])

    def reopen_log(self) -> None:
        """Let it open the audit log anew, which somebody has moved away; only when it is ready."""
        self._child.signal(signal.SIGHUP)

    async def close(self) -> None:
        """End it, and wait until it is gone.

        Cancellation: it ends all the same, and is reaped when the host ends.
        """
        await self._child.close()

    def _take(self, message: Message) -> None:
        assert isinstance(message, EgressEvent), f"not from an egress process: {type(message).__name__}"
        self._on_event(message)


def _known(config: WorkerConfig) -> msgspec.Raw:
    """Return what the egress process needs to know of a worker: none of the values that only the worker's code uses."""
    known = msgspec.structs.replace(config, vars={}, secrets={}, hyperdrive=known_to_egress(config))
    return msgspec.Raw(msgspec.json.encode(known))
