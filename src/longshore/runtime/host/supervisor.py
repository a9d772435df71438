"""``Supervisor``: runs one worker's configuration in as many processes as wanted (shell).

What to do is decided in ``lifecycle.py``; this carries events in and actions out. How the parts play together is told
in ``docs/design/runtime.md``.

Rules that must not be broken:

1. Everything happens in callbacks of one loop, one after the other; nothing awaits between an event and its actions.
2. Whatever ends ``run()``, even its cancellation, ends the zygote, with it every worker, and the egress process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.aio.tasks import spawn
from longshore.credentials.errors import CredentialError
from longshore.credentials.store import open_store
from longshore.net.fdpass import close_all
from longshore.proto.ipc.egress import Audited, DoorsFailed, StartEgress
from longshore.proto.ipc.frames import FrameError
from longshore.proto.ipc.messages import (
    BootFailed,
    Drain,
    Exited,
    FireScheduled,
    Forked,
    ForkFailed,
    HandOver,
    Ready,
    StillBooting,
    WorkerMessage,
)
from longshore.runtime.host import events as said
from longshore.runtime.host import lifecycle_model as lc
from longshore.runtime.host.auto_reload import AutoReload
from longshore.runtime.host.cron_timer import CronTimer, wall_clock
from longshore.runtime.host.databases import WorkerDatabases
from longshore.runtime.host.enclosure import Enclosure
from longshore.runtime.host.expiry import ExpiryWatch
from longshore.runtime.host.handover import HandOverDesk
from longshore.runtime.host.lifecycle import HostState
from longshore.runtime.host.listener import ListenError, open_listeners
from longshore.runtime.host.proc import first_child
from longshore.runtime.host.processes import HostProcesses
from longshore.runtime.host.start import broken_config, extra_roots, silent_failure, start_message
from longshore.runtime.host.worker_link import WorkerLink
from longshore.sandbox.probe import probe_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from longshore.config.model import WorkerConfig
    from longshore.credentials.store import CredentialStore
    from longshore.proto.ipc.messages import ErrorReport, Message, SourceFrame
    from longshore.runtime.host.listener import Listeners
    from longshore.runtime.host.options import HostOptions

__all__ = ["Supervisor"]

EXIT_CONFIG = 78
EXIT_INTERNAL = 70

# How long the rest of what an ended worker said may take to arrive: only a process that it left behind and that holds
# its channel can make it take any time at all.
_LAST_WORDS_S = 1.0


class Supervisor:
    """Opens the port, keeps workers running on it, and ends them.

    Args:
        config: the worker.
        options: how to run it.
        sink: is told everything that happens; called in the loop of ``run()``.
    """

    def __init__(self, config: WorkerConfig, options: HostOptions, sink: said.EventSink) -> None:
        self._config = config
        self._options = options
        self._sink = sink
        self._state = HostState(options.rules())
        self._links: dict[int, WorkerLink] = {}
        self._configs: dict[int, WorkerConfig] = {}  # by generation
        self._reports: dict[int, ErrorReport] = {}  # by worker, until they are told
        self._places: dict[int, tuple[SourceFrame, ...]] = {}  # where workers are that take long to boot
        self._failure: ErrorReport | None = None  # what the error page shows
        self._changed: set[str] = set()  # files, until a reload for them has begun
        self._desk = HandOverDesk()
        self._fired = 0
        self._is_serving = False  # a worker was ready
        self._background: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._listeners: Listeners | None = None
        self._enclosure: Enclosure | None = None
        self._credentials: CredentialStore | None = None
        self._processes: HostProcesses | None = None
        self._crons: CronTimer | None = None
        self._expiry: ExpiryWatch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Future[int] | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it listens, the one to show first; empty before ``run()`` has opened the port."""
        return self._listeners.urls if self._listeners is not None else ()

    # -- what may be asked -----------------------------------------------------------------------

    async def run(self) -> int:
        """Serve until stopped, or until it is clear that this is not possible; return the exit code.

        Cancellation: kills the workers.
        """
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.create_future()
        try:
            if self._open() and self._prepare():
                self._begin()
            code = await self._end
        finally:
            await self._close()
        self._sink(said.Stopped(code))
        return code

    def reload(self, config: WorkerConfig | None = None, *, paths: Iterable[str] = ()) -> None:
        """Replace the workers without losing a request; returns at once, ``Reloaded`` or ``BootFailure`` follows.

        Args:
            config: the configuration from now on; None: the one there is.
            paths: the files because of which; told in ``ReloadStarted``.
        """
        self._changed.update(paths)
        if config is not None:
            if not self._accepts(config):
                return
            self._config = config
            if self._expiry is not None:
                self._expiry.watch(config, is_told=self._options.is_dev)
            if self._crons is not None and self._options.fires_crons:
                self._crons.set(config.crons)
        if self._processes is not None:
            self._feed(lc.ReloadRequested())

    def stop(self) -> None:
        """End: after the requests in flight at the first call, within half a second at the second, at once then."""
        if self._end is not None and not self._end.done():
            self._feed(lc.StopRequested())

    def fire_scheduled(self, cron: str) -> None:
        """Run the ``scheduled`` handler now, in one of the workers, as if ``cron`` were due."""
        self._fire(cron, wall_clock())

    # -- beginning and end -----------------------------------------------------------------------

    def _open(self) -> bool:
        options = self._options
        try:
            listeners = open_listeners(options.host, options.port, may_search=not options.port_is_fixed)
        except ListenError as exc:
            self._fail(str(exc), EXIT_CONFIG)
            return False
        self._listeners = listeners
        if options.port and listeners.port != options.port:
            self._sink(said.PortTaken(options.port, listeners.port, listeners.holder))
        self._sink(said.Listening(listeners.urls))
        return True

    def _begin(self) -> None:
        reloads = AutoReload(
            self._config, self._options.load, lambda config, paths: self.reload(config, paths=paths), self._sink
        )
        self._wire_signals(self.stop if self._options.is_dev else lambda: self._hang_up(reloads))
        if self._options.watch:
            self._run_beside(reloads.run(), "longshore watch")
        self._crons = CronTimer(self._fire)
        if self._options.fires_crons:
            self._crons.set(self._config.crons)
        assert self._processes is not None
        assert self._credentials is not None
        self._expiry = ExpiryWatch(
            self._credentials, lambda notice: self._sink(said.CertificateNotice(notice.key_path, notice.message))
        )
        self._expiry.watch(self._config, is_told=self._options.is_dev)  # there the head of the output says it
        if self._processes.start():
            self._feed(lc.Begin())

    def _prepare(self) -> bool:
        """Find out what the system has, and whether that is enough; start nothing yet."""
        layers, folder = self._options.layers, self._options.credentials_dir
        try:
            self._credentials = open_store(os.environ, Path(folder) if folder else None)
        except CredentialError as exc:
            self._fail(str(exc), EXIT_CONFIG)
            return False
        hidden = (str(self._credentials.folder), *self._options.secret_files)
        self._enclosure = Enclosure(probe_layers if layers is None else lambda: layers, os.environ, hidden)
        if refusal := self._enclosure.refusal(self._config):
            self._fail(refusal, EXIT_CONFIG)
            return False
        self._sink(self._enclosure.described(self._config))
        self._processes = HostProcesses(
            self._on_process,
            self._on_zygote_lost,
            self._on_egress_lost,
            lambda reason: self._fail(reason, EXIT_INTERNAL),
            on_pool_lost=lambda: self._sink(said.PoolLost()),
            egress_start=StartEgress(
                credentials_dir=str(self._credentials.folder), audit_path=self._config.serve.audit_log
            ),
            environment=self._enclosure.zygote_environment(),
        )
        return True

    def _accepts(self, config: WorkerConfig) -> bool:
        """Say whether a new configuration can be run on this system; tell what it changes about isolation."""
        if self._enclosure is None:
            return True
        if refusal := self._enclosure.refusal(config):
            self._sink(said.ConfigRejected(RuntimeError(refusal)))
            return False
        described = self._enclosure.described(config)
        if described != self._enclosure.described(self._config):
            self._sink(described)
        return True

    def _fail(self, message: str, code: int) -> None:
        self._sink(said.HostFailed(message, code))
        self._finish(code)

    def _finish(self, code: int) -> None:
        assert self._end is not None
        if not self._end.done():
            self._end.set_result(code)

    async def _close(self) -> None:
        self._unwire_signals()
        if self._timer is not None:
            self._timer.cancel()
        if self._crons is not None:
            self._crons.close()
        if self._expiry is not None:
            self._expiry.close()
        for task in self._background:
            task.cancel()
        if self._listeners is not None:
            self._listeners.close()
        if self._processes is not None:
            await self._processes.close()  # the zygote's end is the end of every worker
        await asyncio.gather(
            *self._background, *(link.ended() for link in self._links.values()), return_exceptions=True
        )
        self._links.clear()
        self._desk.close()

    def _wire_signals(self, on_hangup: Callable[[], object]) -> None:
        if not self._options.handle_signals or threading.current_thread() is not threading.main_thread():
            return
        assert self._loop is not None
        for number, call in ((signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, on_hangup)):
            self._loop.add_signal_handler(number, call)

    def _hang_up(self, reloads: AutoReload) -> None:
        if self._processes is not None:
            self._processes.reopen_log()
        reloads.ask()

    def _unwire_signals(self) -> None:
        if self._options.handle_signals and threading.current_thread() is threading.main_thread():
            assert self._loop is not None
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                self._loop.remove_signal_handler(number)

    def _run_beside(self, work: Any, name: str) -> None:
        self._background.add(spawn(work, name=name, on_done=self._background.discard))

    # -- events in -------------------------------------------------------------------------------

    def _feed(self, event: lc.Event) -> None:
        assert self._loop is not None
        if self._end is None or self._end.done():
            return
        for action in self._state.step(self._loop.time(), event):
            self._perform(action)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._state.deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._feed, lc.TimePassed())

    def _on_process(self, message: Forked | ForkFailed | Exited | DoorsFailed | Audited) -> None:
        match message:
            case Forked(worker_id=worker_id, pid=pid):
                if (link := self._links.get(worker_id)) is not None:
                    link.forked_pid = pid
                    if (ready := link.early_ready) is not None:
                        self._on_ready(link, ready)
            case ForkFailed(worker_id=worker_id, error=error):
                self._reports[worker_id] = silent_failure(f"no process for worker {worker_id}: {error}")
                self._run_beside(self._worker_ended(worker_id, EXIT_INTERNAL), "longshore fork failed")
            case Exited(worker_id=worker_id, code=code):
                self._run_beside(self._worker_ended(worker_id, code), "longshore worker ended")
            case DoorsFailed(worker_id=worker_id, error=error):
                self._reports[worker_id] = silent_failure(f"no connections for worker {worker_id}: {error}")
                self._kill(worker_id)
            case Audited(record=record):
                self._sink(said.Audited(record))

    def _on_zygote_lost(self) -> None:
        for worker_id in list(self._links):
            self._run_beside(self._worker_ended(worker_id, -signal.SIGKILL), "longshore worker lost")

    def _on_egress_lost(self) -> None:
        self._sink(said.EgressLost())
        for worker_id in self._links:
            self._kill(worker_id)

    async def _worker_ended(self, worker_id: int, code: int) -> None:
        link = self._links.get(worker_id)
        if link is None:
            return
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await link.ended()
        except TimeoutError:
            link.close()
        if self._processes is not None:
            self._processes.forget(worker_id)
        if self._links.pop(worker_id, None) is not None:
            self._feed(lc.WorkerEnded(worker_id, code))
            self._reports.pop(worker_id, None)
            self._places.pop(worker_id, None)

    def _on_worker(self, link: WorkerLink, message: Message, fds: list[int]) -> None:
        match message:
            case HandOver():
                self._desk.pass_on(fds, self._serving())
                if self._state.is_stopping:  # it was on its way when the order came, and nobody will take it
                    self._desk.close()
                return
            case Ready():
                self._on_ready(link, message)
            case StillBooting(frames=frames):
                self._places[link.worker_id] = frames
            case BootFailed(report=report):
                self._reports[link.worker_id] = report
                self._feed(lc.BootRejected(link.worker_id))
            case _ if isinstance(message, WorkerMessage):
                self._sink(said.FromWorker(link.worker_id, message))
            case _:  # its code has got hold of the channel
                self._on_broken_link(link)
        close_all(fds)

    def _on_ready(self, link: WorkerLink, message: Ready) -> None:
        if link.forked_pid is None:
            link.early_ready = message
            return
        # A worker in a jail knows only what number it has in there.
        pid = (first_child(link.forked_pid) or link.forked_pid) if link.is_jailed else message.pid
        self._sink(
            said.WorkerReady(
                link.worker_id,
                pid,
                message.boot_s,
                message.handlers,
                message.loop,
                is_reload=link.generation > 1,
                is_broken=link.is_broken,
            )
        )
        if not self._is_serving:
            self._is_serving = True
            self._sink(said.Serving(self.urls))
        self._places.pop(link.worker_id, None)
        self._feed(lc.WorkerBecameReady(link.worker_id))
        self._desk.release(self._serving())

    def _on_broken_link(self, link: WorkerLink) -> None:
        """It is dead, or cannot be told to end, or says what no worker says; in each case ``Exited`` follows."""
        self._kill(link.worker_id)

    def _kill(self, worker_id: int) -> None:
        if self._processes is not None:
            self._processes.kill(worker_id, signal.SIGKILL)

    def _serving(self) -> list[WorkerLink]:
        return [self._links[worker_id] for worker_id in self._state.serving() if worker_id in self._links]

    # -- actions out -----------------------------------------------------------------------------

    def _perform(self, action: lc.Action) -> None:
        match action:
            case lc.SpawnWorker():
                self._spawn(action)
            case lc.DrainWorker(worker_id, timeout_s, hand_over):
                if (link := self._links.get(worker_id)) is not None:
                    link.send(Drain(timeout_s=timeout_s, hand_over=hand_over))
            case lc.KillWorker(worker_id):
                self._kill(worker_id)
            case lc.Finish(code):
                self._finish(code)
            case _:
                self._announce(action)

    def _spawn(self, action: lc.SpawnWorker) -> None:
        worker_id, generation = action.worker_id, action.generation
        assert self._loop is not None
        if generation not in self._configs:
            in_use = {link.generation for link in self._links.values()} | {self._state.current_generation}
            self._configs = {number: config for number, config in self._configs.items() if number in in_use}
            self._configs[generation] = self._config
        config = self._configs[generation]
        if action.is_broken:
            config = broken_config(config, self._failure or silent_failure("the worker cannot be run"))
        try:
            self._launch(action, config)
        except (OSError, CredentialError, FrameError) as exc:
            reason = f"no channel for worker {worker_id}: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
            self._reports[worker_id] = silent_failure(reason)
            if worker_id in self._links:  # there is a process, which waits to be told what to be
                self._kill(worker_id)
            else:
                self._loop.call_soon(self._feed, lc.WorkerEnded(worker_id, EXIT_INTERNAL))
        else:
            self._sink(said.WorkerStarting(worker_id))

    def _launch(self, action: lc.SpawnWorker, config: WorkerConfig) -> None:
        assert self._processes is not None
        assert self._listeners is not None
        assert self._enclosure is not None
        assert self._credentials is not None
        worker_id = action.worker_id
        # The page of a boot failure is ours, and must come up whatever it was that failed.
        jail = None if action.is_broken else self._enclosure.jail(config)
        has_traps = jail is not None and "seccomp" in jail.layers
        roots = extra_roots(config, self._credentials)
        databases = WorkerDatabases.of(config, worker_id, self._credentials, has_traps=has_traps)
        start = start_message(
            config if databases is None else databases.for_worker(config),
            worker_id,
            self._options,
            self.urls,
            jail=jail,
            extra_roots=roots,
            environment=self._enclosure.worker_environment(config),
        )
        control = self._processes.launch(worker_id, config, self._listeners.addresses(), jail, databases)
        link = WorkerLink(
            worker_id,
            action.generation,
            control,
            self._on_worker,
            self._on_broken_link,
            is_broken=action.is_broken,
            is_jailed=jail is not None,
        )
        self._links[worker_id] = link
        link.send(start, [sock.fileno() for sock in self._listeners.sockets])

    def _announce(self, action: lc.Action) -> None:
        match action:
            case lc.AnnounceBootFailure(worker_id, is_reload, reason):
                frames = self._places.get(worker_id, ())
                self._failure = self._reports.pop(worker_id, None) or silent_failure(reason, frames)
                self._sink(said.BootFailure(worker_id, self._failure, is_reload))
            case lc.AnnounceReload():
                paths, self._changed = tuple(sorted(self._changed)), set()
                self._sink(said.ReloadStarted(paths))
            case lc.AnnounceReloaded(_, duration_s):
                self._sink(said.Reloaded(duration_s))
            case lc.AnnounceExit(worker_id, code, was_expected):
                self._sink(said.WorkerExited(worker_id, code, was_expected))
            case lc.AnnounceRestart(in_s, crashes):
                self._sink(said.RestartScheduled(in_s, crashes))
            case lc.AnnounceDraining(timeout_s, is_hurried):
                if not is_hurried:
                    self._stop_listening()
                self._sink(said.Draining(timeout_s, is_hurried))

    def _stop_listening(self) -> None:
        """Let nothing new begin; the workers accept what waits, and the port is closed when the last of them has."""
        if self._listeners is not None:
            self._listeners.refuse_new()
            self._listeners.close()
        self._desk.close()

    # -- crons -------------------------------------------------------------------------

    def _fire(self, cron: str, at: datetime) -> None:
        able = [link for link in self._serving() if not link.is_broken]
        if not able or self._state.is_stopping:
            self._sink(said.CronDue(cron, None))
            return
        self._fired += 1
        link = able[self._fired % len(able)]
        link.send(FireScheduled(cron=cron, scheduled_time_ms=int(at.timestamp() * 1000)))
        self._sink(said.CronDue(cron, link.worker_id))
