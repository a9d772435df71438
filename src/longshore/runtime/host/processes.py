"""``HostProcesses``: the processes beside the workers, without which there are none (shell).

The first two are started together and end together. The *zygote* is the parent of every worker, so its death is theirs.
The *egress process* makes their connections: when it dies, the workers are killed, for they could connect nowhere, and
the supervisor replaces them as it replaces any worker that crashed. The *pool process* is there when a worker has a
database that it serves; when it dies it is replaced, and the workers live on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.proto.ipc.egress import EgressReady
from longshore.proto.ipc.messages import ZygoteReady
from longshore.runtime.host.egress_process import EGRESS_COMMAND, EgressProcess
from longshore.runtime.host.pool_desk import PoolDesk
from longshore.runtime.host.pool_process import POOL_COMMAND
from longshore.runtime.host.zygote_process import ZYGOTE_COMMAND, ZygoteProcess

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.egress import Audited, DoorsFailed, StartEgress
    from longshore.proto.ipc.jail import JailPlan
    from longshore.proto.ipc.messages import Exited, Forked, ForkFailed
    from longshore.runtime.host.databases import WorkerDatabases
    from longshore.runtime.host.egress_process import EgressEvent
    from longshore.runtime.host.zygote_process import ZygoteEvent

__all__ = ["HostProcesses"]


class HostProcesses:
    """The zygote and the egress process of one host; made inside the running loop.

    Args:
        on_event: called for what either says, but for their being ready.
        on_zygote_lost: called when the zygote is gone, with every worker; a new one is there.
        on_egress_lost: called when the egress process is gone; a new one is there, and no worker of the old one is of
            further use.
        on_failure: called when a process cannot run at all, with the reason; nothing else is called after it.
        on_pool_lost: called when the pool process is gone; a new one is there or will be.
        egress_start: the first message to the egress process.
        environment: of the zygote, and of the pool process.
    """

    def __init__(
        self,
        on_event: Callable[[Forked | ForkFailed | Exited | DoorsFailed | Audited], None],
        on_zygote_lost: Callable[[], None],
        on_egress_lost: Callable[[], None],
        on_failure: Callable[[str], None],
        *,
        on_pool_lost: Callable[[], None] = lambda: None,
        egress_start: StartEgress,
        environment: Mapping[str, str] | None = None,
        zygote_command: Sequence[str] = ZYGOTE_COMMAND,
        egress_command: Sequence[str] = EGRESS_COMMAND,
        pool_command: Sequence[str] = POOL_COMMAND,
    ) -> None:
        self._pool = PoolDesk(self._attach_pool, on_pool_lost, environment=environment, command=pool_command)
        self._on_event = on_event
        self._on_zygote_lost = on_zygote_lost
        self._on_egress_lost = on_egress_lost
        self._on_failure = on_failure
        self._egress_start = egress_start
        self._environment = environment
        self._zygote_command = zygote_command
        self._egress_command = egress_command
        self._zygote: ZygoteProcess | None = None
        self._egress: EgressProcess | None = None
        self._is_zygote_ready = False
        self._is_egress_ready = False
        self._is_failed = False
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote; None when there is none."""
        return self._zygote.pid if self._zygote is not None else None

    @property
    def egress_pid(self) -> int | None:
        """Process id of the egress process; None when there is none."""
        return self._egress.pid if self._egress is not None else None

    @property
    def pool_pid(self) -> int | None:
        """Process id of the pool process; None when there is none."""
        return self._pool.pid

    def start(self) -> bool:
        """Start both; False when one cannot be started, and ``on_failure`` was called."""
        return self._start_egress() and self._start_zygote()

    def launch(
        self,
        worker_id: int,
        config: WorkerConfig,
        own_addresses: tuple[str, ...],
        jail: JailPlan | None,
        databases: WorkerDatabases | None = None,
    ) -> socket.socket:
        """Ask for a worker; return our end of its control channel. ``Forked`` or ``ForkFailed`` follows.

        Args:
            worker_id: counts all workers of the host.
            config: what it may reach.
            own_addresses: ``ip:port`` at which the host listens.
            jail: what to put it into.
            databases: those that the pool serves; its listeners belong to the callee.

        Raises:
            OSError: there are too many open files.
        """
        assert self._zygote is not None
        assert self._egress is not None
        try:
            if databases is not None:
                self._pool.add(databases)
            with self._egress.add_worker(worker_id, config, own_addresses) as egress:
                return self._zygote.fork(worker_id, egress, jail)
        except BaseException:
            self.forget(worker_id)
            raise

    def kill(self, worker_id: int, number: int) -> None:
        """Send a signal to a worker."""
        if self._zygote is not None:
            self._zygote.kill(worker_id, number)

    def forget(self, worker_id: int) -> None:
        """Give up what a worker that is gone has left open."""
        self._pool.remove(worker_id)
        if self._egress is not None:
            self._egress.remove_worker(worker_id)

    def reopen_log(self) -> None:
        """Open the audit log anew, which somebody has moved away."""
        # Before it is ready it has opened nothing, and the signal would end it.
        if self._egress is not None and self._is_egress_ready:
            self._egress.reopen_log()

    async def close(self) -> None:
        """End both, and with the zygote every worker; wait until they are gone.

        Cancellation: they end all the same, and are reaped when the host ends.
        """
        zygote, self._zygote = self._zygote, None
        egress, self._egress = self._egress, None
        try:
            if zygote is not None:
                await zygote.close()  # first: no worker is left then that could ask for a connection in vain
        finally:
            try:
                await self._pool.close()
            finally:
                if egress is not None:
                    await egress.close()
        await asyncio.gather(*self._ending, return_exceptions=True)

    # -- the zygote ------------------------------------------------------------------------------

    def _start_zygote(self) -> bool:
        self._is_zygote_ready = False
        try:
            self._zygote = ZygoteProcess(
                self._on_zygote, self._on_zygote_end, command=self._zygote_command, environment=self._environment
            )
        except OSError as exc:
            self._fail(f"cannot start the process that workers are forked from: {exc.strerror}")
            return False
        return True

    def _on_zygote(self, message: ZygoteEvent) -> None:
        if isinstance(message, ZygoteReady):
            self._is_zygote_ready = True
        else:
            self._on_event(message)

    def _on_zygote_end(self) -> None:
        """It was killed, or cannot start; the kernel killed the workers with it."""
        lost, self._zygote = self._zygote, None
        assert lost is not None
        self._bury(lost)
        if not self._is_zygote_ready:
            self._fail("the process that workers are forked from ended while it started; see above")
        elif not self._is_failed and self._start_zygote():
            self._on_zygote_lost()

    # -- the egress process ----------------------------------------------------------------------

    def _start_egress(self) -> bool:
        self._is_egress_ready = False
        try:
            self._egress = EgressProcess(
                self._egress_start, self._on_egress, self._on_egress_end, command=self._egress_command
            )
        except OSError as exc:
            self._fail(f"cannot start the process that connections are made by: {exc.strerror}")
            return False
        self._pool.attach()
        return True

    def _attach_pool(self, sock: socket.socket) -> None:
        if self._egress is not None:
            self._egress.attach_pool(sock)

    def _on_egress(self, message: EgressEvent) -> None:
        if isinstance(message, EgressReady):
            self._is_egress_ready = True
        else:
            self._on_event(message)

    def _on_egress_end(self) -> None:
        lost, self._egress = self._egress, None
        assert lost is not None
        self._bury(lost)
        if not self._is_egress_ready:
            self._fail("the process that connections are made by ended while it started; see above")
        elif not self._is_failed and self._start_egress():
            self._on_egress_lost()

    # -- both ------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        if not self._is_failed:
            self._is_failed = True
            self._on_failure(reason)

    def _bury(self, lost: ZygoteProcess | EgressProcess) -> None:
        self._ending.add(spawn(lost.close(), name="longshore process end", on_done=self._ending.discard))
