"""The host's end of the pool process, which keeps the connections to databases (shell).

It is started when the first worker needs it. Workers live on when it dies: their sessions are broken, as if the
database had been restarted, and the next connection finds the process that takes its place.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from longshore.proto.ipc.pool import AttachEgress, EgressLost, PoolReady, RemoveDatabases
from longshore.runtime.host.child_process import ChildProcess

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from longshore.proto.ipc.messages import Message
    from longshore.proto.ipc.pool import AddDatabases

__all__ = ["POOL_COMMAND", "PoolProcess"]

POOL_COMMAND = (sys.executable, "-P", "-m", "longshore.pool")


class PoolProcess:
    """A running pool process; made inside the running loop.

    Args:
        on_end: called once when it is gone without having been closed; with whether it had been ready.
        on_egress_lost: called with the number of a channel to the egress process that has ended.
        command: what to run; the descriptor's number is appended.
        environment: its whole environment; None: ours.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        on_end: Callable[[bool], None],
        on_egress_lost: Callable[[int], None] = lambda _: None,
        *,
        command: Sequence[str] = POOL_COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._is_ready = False
        self._on_egress_lost = on_egress_lost
        self._child = ChildProcess(
            command, self._take, lambda: on_end(self._is_ready), name="longshore pool", environment=environment
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def attach_egress(self, sock: socket.socket, number: int = 0) -> None:
        """Give it its end of a channel to the egress process; the caller closes its own copy."""
        self._child.send(AttachEgress(number=number), [sock.fileno()])

    def add(self, databases: AddDatabases, listeners: Sequence[socket.socket]) -> None:
        """Announce a worker; the listeners stay the caller's."""
        self._child.send(databases, [each.fileno() for each in listeners])

    def remove(self, worker_id: int) -> None:
        """Say that a worker process is gone."""
        self._child.send(RemoveDatabases(worker_id=worker_id))

    async def close(self) -> None:
        """End it, and wait until it is gone.

        Cancellation: it ends all the same, and is reaped when the host ends.
        """
        await self._child.close()

    def _take(self, message: Message) -> None:
        match message:
            case PoolReady():
                self._is_ready = True
            case EgressLost(number=number):
                self._on_egress_lost(number)
            case _:
                raise AssertionError(f"not from a pool process: {type(message).__name__}")
