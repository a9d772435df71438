"""``PoolDesk``: keeps a pool process running for as long as a worker needs it, and joins it to the egress process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.runtime.host.pool_process import POOL_COMMAND, PoolProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from longshore.runtime.host.databases import WorkerDatabases

__all__ = ["PoolDesk"]

_AGAIN_S: Final = 0.1
"""How long to wait before the pool process is joined to the egress process anew: that one may be about to end."""
_RETRY_S: Final = (0.0, 0.1, 0.5, 1.0, 5.0)
"""How long to wait before a process that was never ready is followed by another one, by how often that happened."""


class PoolDesk:
    """The pool process of one host, if it has one; made inside the running loop.

    Args:
        attach: gives the egress process its end of the channel between the two.
        on_lost: called when a process is gone; another one follows.
        environment: of the process; None: ours.
        command: what to run; the descriptor's number is appended.
    """

    def __init__(
        self,
        attach: Callable[[socket.socket], None],
        on_lost: Callable[[], None],
        *,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = POOL_COMMAND,
    ) -> None:
        self._attach_egress = attach
        self._on_lost = on_lost
        self._environment = environment
        self._command = command
        self._process: PoolProcess | None = None
        self._workers: dict[int, WorkerDatabases] = {}
        self._failures = 0
        self._channels = 0
        self._retry: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Process id; None when there is none."""
        return None if self._process is None else self._process.pid

    def add(self, databases: WorkerDatabases) -> None:
        """Serve a worker; what it has belongs to the desk from now on.

        Raises:
            OSError: the process cannot be started.
        """
        self._workers[databases.message.worker_id] = databases
        if self._process is not None:
            self._process.add(databases.message, databases.listeners)
        elif self._retry is None:
            self._start()

    def remove(self, worker_id: int) -> None:
        """Serve a worker no longer; nothing, if it has no databases."""
        databases = self._workers.pop(worker_id, None)
        if databases is None:
            return
        databases.close()
        if self._process is not None:
            self._process.remove(worker_id)

    def attach(self) -> None:
        """Join the process to the egress process: one of them is new, or what joined them broke."""
        if self._process is None:
            return
        self._channels += 1
        mine, its = socket.socketpair()
        with mine, its:
            self._process.attach_egress(mine, self._channels)
            self._attach_egress(its)

    async def close(self) -> None:
        """End the process, and wait until it is gone.

        Cancellation: it ends all the same, and is reaped when the host ends.
        """
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        for databases in self._workers.values():
            databases.close()
        self._workers.clear()
        process, self._process = self._process, None
        if process is not None:
            await process.close()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _start(self) -> None:
        self._process = PoolProcess(
            self._on_end, self._on_egress_lost, command=self._command, environment=self._environment
        )
        for databases in self._workers.values():
            self._process.add(databases.message, databases.listeners)
        self.attach()  # last: a client may be waiting in there, and is closed when nobody knows its worker

    def _on_egress_lost(self, number: int) -> None:
        asyncio.get_running_loop().call_later(_AGAIN_S, self._attach_again, number)

    def _attach_again(self, number: int) -> None:
        if number == self._channels and not self._is_closed:
            with contextlib.suppress(OSError):  # too many open files: then the pool is of no use, and says so
                self.attach()

    def _on_end(self, was_ready: bool) -> None:
        lost, self._process = self._process, None
        assert lost is not None
        self._ending.add(spawn(lost.close(), name="longshore pool end", on_done=self._ending.discard))
        if self._is_closed:
            return
        self._failures = 0 if was_ready else self._failures + 1
        delay_s = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
        self._retry = asyncio.get_running_loop().call_later(delay_s, self._start_again)
        self._on_lost()

    def _start_again(self) -> None:
        self._retry = None
        if self._workers and self._process is None:
            with contextlib.suppress(OSError):  # too many open files; the next worker tries again
                self._start()
