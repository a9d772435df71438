"""``Worker``: boots the user's module, serves it, and ends when it is told to.

Theory of operation. Two things run side by side: ``_listen`` takes the host's messages, and ``run`` goes through
*boot*, *serve* and *drain*. They meet in one future: the first order to end. That is ``Drain``, or SIGTERM from
somebody who signals the worker itself, or the end of the channel, which means that the host is gone. An order that
comes during the boot ends it; one that comes during the drain can only shorten it.

A drain accepts nothing more, lets connections go (``Serving``), waits for requests and ``wait_until`` work, and cancels
what is left when the time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from longshore.aio.tasks import spawn
from longshore.compat.install import install
from longshore.config.model import WorkerConfig
from longshore.proto.ipc.frames import FrameError
from longshore.proto.ipc.messages import Adopt, BootFailed, Drain, Drained, FireScheduled, HandOver, Ready
from longshore.runtime.worker.app import WorkerApp
from longshore.runtime.worker.boot import import_main, read_sources_afresh
from longshore.runtime.worker.boot_watch import watching_boot
from longshore.runtime.worker.entry import find_entry
from longshore.runtime.worker.report import error_report
from longshore.runtime.worker.server import WorkerServer
from longshore.workers._bindings import build_env
from longshore.workers._env import install_env
from longshore.workers._fetch import aclose_fetch_clients

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from longshore.net.channel import Channel
    from longshore.proto.ipc.messages import ErrorReport, Message, Start
    from longshore.runtime.worker.reporting import ChannelReporter

__all__ = ["EXIT_CANNOT_BOOT", "Worker"]

EXIT_CANNOT_BOOT = 3

ORPHAN_DRAIN_S = 2.0
"""A worker whose host is gone has nobody who waits for it."""

HOST_FIRST_S = 0.5
"""A service manager signals all processes of a service at once. The host's own order has to come first: it lets no
connection begin any more, and a worker that stopped to accept before that would leave some in the queue to be reset."""

CLEANUP_S = 5.0
"""How long the last bytes to clients, and then the application's own shutdown, may take."""

ABANDONED_S = 1.0
"""The same for the last bytes while requests are left that do not end when they are cancelled."""

logger = logging.getLogger("longshore")

# Made here, which is in the zygote: it takes a millisecond.
_decode_config = msgspec.json.Decoder(WorkerConfig).decode


class Worker:
    """One worker, from its start message to its exit code.

    Args:
        start: what to be.
        sockets: listening; they belong to the worker.
        channel: to the host.
        reporter: the same, for messages from anywhere.
    """

    def __init__(
        self, start: Start, sockets: Sequence[socket.socket], channel: Channel, reporter: ChannelReporter
    ) -> None:
        self._start = start
        self._config = _decode_config(start.config)
        self._sockets = sockets
        self._channel = channel
        self._reporter = reporter
        self._loop = asyncio.get_running_loop()
        self._order: asyncio.Future[Drain] = self._loop.create_future()
        self._deadline = math.inf
        self._limit: asyncio.Timeout | None = None
        self._app: WorkerApp | None = None
        self._server: WorkerServer | None = None
        self._is_serving = False
        self._has_successor = False
        self._is_draining = False
        self._sigterm_at: float | None = None
        self._early: list[tuple[Message, list[int]]] = []

    @property
    def config(self) -> WorkerConfig:
        """The resolved configuration."""
        return self._config

    async def run(self, started: float) -> int:
        """Live; return the exit code.

        Args:
            started: when this process began, on the monotonic clock.

        Cancellation: breaks all connections.
        """
        listening = spawn(self._listen(), name="host messages")
        self._loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        try:
            return await self._live(started)
        finally:
            listening.cancel()
            if self._server is not None:
                self._server.close()

    async def _live(self, started: float) -> int:
        booting = spawn(self._try_boot(), name="boot")
        await asyncio.wait((booting, self._order), return_when=asyncio.FIRST_COMPLETED)
        if not booting.done():
            booting.cancel()
            await asyncio.wait((booting,))
        elif (report := booting.result()) is not None:
            self._reporter.send(BootFailed(report=report))
            await self._flush()
            return EXIT_CANNOT_BOOT
        else:
            await self._serve(started)
        await self._flush()
        return 0

    # -- boot --------------------------------------------------------------------------------------

    async def _try_boot(self) -> ErrorReport | None:
        config = self._config
        try:
            with watching_boot(self._reporter, self._start.boot_timeout_s, config.project_dir, config.module_root):
                await self._boot()
        except asyncio.CancelledError:
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever the module raises, SystemExit included, is reported
            return error_report(exc, config.project_dir, config.module_root)
        return None

    async def _boot(self) -> None:
        config, start = self._config, self._start
        install()
        os.chdir(config.project_dir)
        sys.argv = [config.main]
        if start.is_dev:
            read_sources_afresh(config.project_dir)
            read_sources_afresh(config.module_root)
        env = build_env(config)
        install_env(env)
        entry = find_entry(*import_main(config))
        self._app = WorkerApp(entry, env, config, self._reporter, is_dev=start.is_dev, log_requests=start.log_requests)
        self._server = WorkerServer(self._app, self._sockets)
        await self._server.start()

    # -- serve -------------------------------------------------------------------------------------

    async def _serve(self, started: float) -> None:
        assert self._app is not None
        self._is_serving = True
        loop_name = "uvloop" if type(self._loop).__module__.startswith("uvloop") else "asyncio"
        self._reporter.send(
            Ready(pid=os.getpid(), handlers=self._app.handlers, loop=loop_name, boot_s=monotonic() - started)
        )
        early, self._early = self._early, []
        for message, fds in early:
            await self._obey(message, fds)
        await self._drain(await self._order)

    async def _listen(self) -> None:
        try:
            while (received := await self._channel.receive()) is not None:
                await self._obey(*received)
        except (FrameError, OSError) as exc:
            logger.error("the channel to the host is broken: %s", exc)  # noqa: TRY400 - our own traceback helps nobody
        self._end(Drain(timeout_s=ORPHAN_DRAIN_S))

    async def _obey(self, message: Message, fds: list[int]) -> None:
        if isinstance(message, Drain):
            self._end(message)
        elif not self._is_serving:
            self._early.append((message, fds))
        elif isinstance(message, Adopt):
            await self._adopt(*fds)
        elif isinstance(message, FireScheduled) and not self._order.done():
            assert self._app is not None
            spawn(self._app.scheduled(message.cron, message.scheduled_time_ms), name=f"scheduled {message.cron}")

    async def _adopt(self, fd: int) -> None:
        assert self._server is not None
        if self._has_successor:
            self._hand_over(fd)  # to whom this worker's own connections go
            os.close(fd)
        else:
            await self._server.adopt(fd)

    # -- drain -------------------------------------------------------------------------------------

    def _end(self, order: Drain) -> None:
        """Take an order to end; one after the first can only shorten the time, and take the successor away."""
        self._deadline = min(self._deadline, self._loop.time() + order.timeout_s)
        if not self._order.done():
            self._has_successor = order.hand_over
            self._order.set_result(order)
            return
        if self._has_successor and not order.hand_over:  # the host stops while it reloads
            self._has_successor = False
            if self._is_draining and self._server is not None:
                self._server.drain(None)
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._deadline)

    def _on_sigterm(self) -> None:
        """Drain, a moment later; at once when it comes again after that moment.

        Within it, it is the same one: who signals all processes of a service signals the init of a jail as well, which
        passes it on.
        """
        now = self._loop.time()
        if self._sigterm_at is None:
            self._sigterm_at = now
            if not self._order.done():
                self._loop.call_later(HOST_FIRST_S, self._end, Drain(timeout_s=self._config.serve.drain_timeout_s))
        elif now - self._sigterm_at >= HOST_FIRST_S:
            self._end(Drain(timeout_s=0.0))

    def _hand_over(self, fd: int) -> None:
        self._reporter.send_with(HandOver(), [fd])

    async def _drain(self, order: Drain) -> None:
        assert self._app is not None
        assert self._server is not None
        self._is_draining = True
        self._server.drain(self._hand_over if self._has_successor else None)
        await self._server.stop_accepting(is_last=not order.hand_over)
        try:
            async with asyncio.timeout_at(self._deadline) as self._limit:
                await self._server.wait_empty()
                await self._app.drain(order.timeout_s)
        except TimeoutError:
            pass
        self._limit = None
        requests, tasks = await self._app.drain(0.0)
        await self._clean_up()
        self._reporter.send(Drained(cancelled_requests=requests, cancelled_tasks=tasks))

    async def _clean_up(self) -> None:
        assert self._server is not None
        assert self._app is not None
        # The connection of a request that was abandoned stays for ever, and the host would lose its patience.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABANDONED_S if self._app.in_flight else CLEANUP_S):
                await self._server.wait_empty()
        self._server.close()
        for clean_up in (self._server.shutdown, aclose_fetch_clients):
            try:
                async with asyncio.timeout(CLEANUP_S):
                    await clean_up()
            except Exception:
                logger.exception("the worker's shutdown failed")

    async def _flush(self) -> None:
        with contextlib.suppress(OSError):
            await self._channel.flush()
        self._channel.close()
