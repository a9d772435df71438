"""The host's end of the zygote: start it, ask it for workers, end it (shell)."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

from longshore.proto.ipc.messages import Exited, Fork, Forked, ForkFailed, Kill, ZygoteReady
from longshore.runtime.host.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from longshore.proto.ipc.jail import JailPlan
    from longshore.proto.ipc.messages import Message

__all__ = ["ZYGOTE_COMMAND", "ZygoteProcess"]

# -P: the folder we were started in is no place to import our own modules from.
ZYGOTE_COMMAND = (sys.executable, "-P", "-m", "longshore.runtime.zygote")

ZygoteEvent = ZygoteReady | Forked | ForkFailed | Exited


class ZygoteProcess:
    """A running zygote; made inside the running loop.

    Args:
        on_event: called for everything it says.
        on_end: called once when it is gone without having been closed.
        command: what to run; the descriptor's number is appended.
        environment: what it may see of ours, and with it every worker, which can read its memory; None: everything.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        on_event: Callable[[ZygoteEvent], None],
        on_end: Callable[[], None],
        *,
        command: Sequence[str] = ZYGOTE_COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._on_event = on_event
        self._child = ChildProcess(command, self._take, on_end, name="longshore zygote", environment=environment)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def fork(self, worker_id: int, egress: socket.socket | None = None, jail: JailPlan | None = None) -> socket.socket:
        """Ask for a worker; return our end of its control channel. ``Forked`` or ``ForkFailed`` follows.

        Args:
            worker_id: counts all workers of the host.
            egress: the worker's end of its channel to the egress process; stays the caller's.
            jail: what to put it into.

        Raises:
            OSError: there are too many open files.
        """
        mine, its = socket.socketpair()
        with its:
            fds = [its.fileno()] if egress is None else [its.fileno(), egress.fileno()]
            try:
                self._child.send(Fork(worker_id=worker_id, jail=jail), fds)
            except BaseException:
                mine.close()
                raise
        return mine

    def kill(self, worker_id: int, number: int) -> None:
        """Send a signal to a worker; ``Exited`` follows when it ends."""
        self._child.send(Kill(worker_id=worker_id, signal=number))

    async def close(self) -> None:
        """End it, with every worker that is left, and wait until it is gone.

        Cancellation: it ends all the same, and is reaped when the host ends.
        """
        await self._child.close()

    def _take(self, message: Message) -> None:
        assert isinstance(message, ZygoteEvent), f"not from a zygote: {type(message).__name__}"
        self._on_event(message)
