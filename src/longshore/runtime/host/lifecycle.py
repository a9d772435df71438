"""Which worker processes there are, and what is done about them (PURE): ``HostState.step(now, event) -> actions``.

Workers come in *generations*: all workers of one generation run the same code and configuration. At most one
generation is ``current`` (it serves), and at most one is ``coming`` (it boots). A reload begins a coming generation;
when all its workers are ready it becomes the current one, and only then are the others drained. So a reload that
succeeds never leaves a moment without a worker that accepts.

    STARTING ──ready──► READY ──reload, stop──► DRAINING ──ended──► gone
       │ └──────────superseded, stop──────────────►┘ │                ▲
       └──boot failed, too slow──► ENDING ◄──too slow┘───────ended────┘

Rules that must not be broken:

1. A worker stays in the table from ``SpawnWorker`` until ``WorkerEnded``, whatever happens between.
2. Every worker that is not READY has a deadline, and a deadline that passes does something and sets the next one.
3. A worker that may be serving is drained and not killed: one that is STARTING for us may have accepted a request
   that we do not know of yet.
4. After ``StopRequested`` nothing is spawned; ``Finish`` comes exactly once, when the table is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.runtime.host.lifecycle_model import (
    EXIT_BOOT_FAILURE,
    EXIT_INTERNAL,
    Action,
    AnnounceBootFailure,
    AnnounceDraining,
    AnnounceExit,
    AnnounceReload,
    AnnounceReloaded,
    AnnounceRestart,
    Begin,
    BootRejected,
    DrainWorker,
    Event,
    Finish,
    KillWorker,
    Phase,
    ReloadRequested,
    Rules,
    SpawnWorker,
    StopRequested,
    Worker,
    WorkerBecameReady,
    WorkerEnded,
    restart_delay_s,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HostState"]


@dataclass(slots=True)
class _Coming:
    """A generation that boots."""

    number: int
    size: int
    is_broken: bool
    is_reload: bool
    started_at: float


class HostState:
    """The life cycle of all worker processes of one host.

    Args:
        rules: the numbers.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._workers: dict[int, Worker] = {}
        self._current: int | None = None
        self._is_current_broken = False
        self._coming: _Coming | None = None
        self._is_reload_pending = False
        self._restarts: list[float] = []  # when to start a replacement in the current generation
        self._crashes = 0
        self._last_worker_id = 0
        self._last_generation = 0
        self._exit_code: int | None = None  # set: the host stops
        self._stops = 0
        self._is_finished = False
        self._actions: list[Action] = []

    # -- what others may know --------------------------------------------------------------------

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Every process that has not ended, in the order of their start."""
        return tuple(self._workers.values())

    @property
    def is_stopping(self) -> bool:
        """True from the first stop on."""
        return self._exit_code is not None

    @property
    def current_generation(self) -> int | None:
        """The generation that serves; None before the first is ready."""
        return self._current

    def serving(self) -> tuple[int, ...]:
        """Return the workers that new work is given to: ready ones of the current generation, else of the coming."""
        for number in (self._current, self._coming.number if self._coming else None):
            if ready := tuple(worker.worker_id for worker in self._ready(number)):
                return ready
        return ()

    def deadline(self) -> float | None:
        """Return when ``TimePassed`` is due, None when nothing is."""
        times = [w.deadline for w in self._workers.values() if w.deadline is not None]
        times += self._restarts
        if (supersede_at := self._supersede_at()) is not None:
            times.append(supersede_at)
        return min(times, default=None)

    # -- the one door ----------------------------------------------------------------------------

    def step(self, now: float, event: Event) -> list[Action]:
        """Take one event in and return what to do, in order.

        Args:
            now: monotonic time in seconds.
            event: what happened. One about a worker that is not in the table changes nothing.
        """
        self._actions = []
        match event:
            case Begin():
                self._begin_generation(now, is_reload=False)
            case WorkerBecameReady(worker_id):
                self._became_ready(now, self._workers.get(worker_id))
            case BootRejected(worker_id):
                self._rejected(now, self._workers.get(worker_id))
            case WorkerEnded(worker_id, code):
                self._ended(now, worker_id, code)
            case ReloadRequested():
                self._reload_requested(now)
            case StopRequested():
                self._stop_requested(now)
            case _:
                pass  # TimePassed: what is due is done below, whatever the event was
        self._handle_deadlines(now)
        self._maybe_finish()
        return self._actions

    # -- generations -----------------------------------------------------------------------------

    def _begin_generation(self, now: float, *, is_reload: bool, is_broken: bool = False) -> None:
        self._last_generation += 1
        size = 1 if is_broken else self._rules.workers
        self._coming = _Coming(self._last_generation, size, is_broken, is_reload, now)
        if is_reload and not is_broken:
            self._is_reload_pending = False
            self._actions.append(AnnounceReload(self._last_generation))
        for _ in range(size):
            self._spawn(now, self._last_generation, is_broken=is_broken)

    def _spawn(self, now: float, generation: int, *, is_broken: bool = False) -> None:
        self._last_worker_id += 1
        worker_id = self._last_worker_id
        deadline = now + self._rules.boot_timeout_s
        self._workers[worker_id] = Worker(worker_id, generation, Phase.STARTING, deadline)
        self._actions.append(SpawnWorker(worker_id, generation, is_broken))

    def _become_current(self, now: float, coming: _Coming) -> None:
        """The coming generation serves: it is the current one from here on, and the others finish."""
        self._coming = None
        self._current, self._is_current_broken = coming.number, coming.is_broken
        self._crashes = 0
        self._restarts.clear()
        for worker in self._workers.values():
            if worker.generation != coming.number:
                self._drain(now, worker, hand_over=True)
        if coming.is_reload and not coming.is_broken:
            self._actions.append(AnnounceReloaded(coming.number, now - coming.started_at))
        if self._is_reload_pending:
            self._begin_generation(now, is_reload=True)

    def _abandon_coming(self, now: float) -> None:
        """Nobody waits for the coming generation any more."""
        coming, self._coming = self._coming, None
        for worker in self._of(coming.number if coming else None):
            self._drain(now, worker, hand_over=True)

    def _reload_requested(self, now: float) -> None:
        if self.is_stopping:
            return
        if self._coming is None:
            self._begin_generation(now, is_reload=True)
        else:
            self._is_reload_pending = True  # what boots now may have read files from before and after the change

    # -- what happens to workers -----------------------------------------------------------------

    def _became_ready(self, now: float, worker: Worker | None) -> None:
        if worker is None or worker.phase in {Phase.READY, Phase.ENDING}:
            return
        if worker.phase is Phase.DRAINING:
            # It had begun to serve when we stopped waiting for it: it gets the drain that one of its kind gets.
            worker.deadline = max(worker.deadline or 0.0, worker.drains_until)
            return
        worker.phase, worker.deadline, worker.ready_at = Phase.READY, None, now
        coming = self._coming
        if coming is None or worker.generation != coming.number:
            return
        if len(tuple(self._ready(coming.number))) == coming.size:
            self._become_current(now, coming)

    def _rejected(self, now: float, worker: Worker | None) -> None:
        if worker is None or worker.phase in {Phase.DRAINING, Phase.ENDING}:
            return
        self._let_end(now, worker)
        self._boot_failed(now, worker, "")

    def _ended(self, now: float, worker_id: int, code: int) -> None:
        worker = self._workers.pop(worker_id, None)
        if worker is None:
            return
        place = len(self._actions)
        was_expected = worker.phase in {Phase.DRAINING, Phase.ENDING}
        is_coming = self._coming is not None and worker.generation == self._coming.number
        if not was_expected and (worker.phase is Phase.STARTING or is_coming):
            self._boot_failed(now, worker, f"worker {worker_id} {_how_it_ended(code)} before it was ready")
            # A person who is told why the boot failed need not be told once more that the process is gone.
            was_expected = any(isinstance(action, AnnounceBootFailure) for action in self._actions[place:])
        elif not was_expected:
            self._crashed(now, worker)
        self._actions.insert(place, AnnounceExit(worker_id, code, was_expected))

    def _crashed(self, now: float, worker: Worker) -> None:
        if now - worker.ready_at >= self._rules.stable_after_s:
            self._crashes = 0
        self._schedule_restart(now)

    def _schedule_restart(self, now: float) -> None:
        delay_s = restart_delay_s(self._crashes)
        self._crashes += 1
        self._restarts.append(now + delay_s)
        self._actions.append(AnnounceRestart(delay_s, self._crashes))

    # -- boot failures ---------------------------------------------------------------------------

    def _boot_failed(self, now: float, worker: Worker, reason: str) -> None:
        if self._coming is not None and worker.generation == self._coming.number:
            self._generation_failed(now, self._coming, worker, reason)
        else:
            assert worker.generation == self._current, "others are DRAINING or ENDING"
            self._replacement_failed(now, worker, reason)

    def _generation_failed(self, now: float, coming: _Coming, worker: Worker, reason: str) -> None:
        if self._is_reload_pending:
            self._abandon_coming(now)
            self._begin_generation(now, is_reload=True)  # what failed is not what is on disk now
            return
        self._actions.append(AnnounceBootFailure(worker.worker_id, coming.is_reload, reason))
        if self._rules.is_dev and not coming.is_broken:
            self._abandon_coming(now)
            self._begin_generation(now, is_reload=coming.is_reload, is_broken=True)
        elif self._restarts or any(w.phase in {Phase.STARTING, Phase.READY} for w in self._of(self._current)):
            self._abandon_coming(now)  # the current generation goes on
        else:
            self._give_up(now, EXIT_INTERNAL if coming.is_broken else EXIT_BOOT_FAILURE)

    def _give_up(self, now: float, code: int) -> None:
        """End, because nobody serves and nobody will; siblings of the one that failed may be serving for a moment."""
        self._exit_code = code
        if any(worker.phase is Phase.READY for worker in self._workers.values()):
            self._actions.append(AnnounceDraining(self._rules.drain_timeout_s, is_hurried=False))
        self._drain_all(now, self._rules.drain_timeout_s)

    def _replacement_failed(self, now: float, worker: Worker, reason: str) -> None:
        """A worker died, and the same code does not boot again: a service it needs may be away."""
        if self._crashes <= 1:
            self._actions.append(AnnounceBootFailure(worker.worker_id, is_reload=False, reason=reason))
        if self._rules.is_dev and self._coming is None:
            self._begin_generation(now, is_reload=False, is_broken=True)
        elif not self._rules.is_dev:
            self._schedule_restart(now)

    # -- ending ----------------------------------------------------------------------------------

    def _let_end(self, now: float, worker: Worker) -> None:
        """It ends by itself, and is given a moment for that."""
        worker.phase, worker.deadline = Phase.ENDING, now + self._rules.kill_grace_s

    def _drain(self, now: float, worker: Worker, *, hand_over: bool, timeout_s: float | None = None) -> None:
        if worker.phase is Phase.ENDING or (worker.phase is Phase.DRAINING and hand_over):
            return
        timeout_s = self._rules.drain_timeout_s if timeout_s is None else timeout_s
        until = now + timeout_s + self._rules.kill_grace_s
        if worker.phase is Phase.DRAINING:
            until = until if worker.deadline is None else min(until, worker.deadline)
        starting_until = now + self._rules.starting_grace_s
        worker.deadline = min(until, starting_until) if worker.phase is Phase.STARTING else until
        worker.phase, worker.drains_until = Phase.DRAINING, until
        self._actions.append(DrainWorker(worker.worker_id, timeout_s, hand_over))

    def _drain_all(self, now: float, timeout_s: float) -> None:
        self._coming = None
        self._is_reload_pending = False
        self._restarts.clear()
        for worker in self._workers.values():
            self._drain(now, worker, hand_over=False, timeout_s=timeout_s)

    def _stop_requested(self, now: float) -> None:
        if self._is_finished:
            return
        self._stops += 1
        is_first = self._exit_code is None
        self._exit_code = self._exit_code or 0
        timeout_s = self._rules.drain_timeout_s if is_first else 0.0
        self._actions.append(AnnounceDraining(timeout_s, is_hurried=not is_first))
        self._drain_all(now, timeout_s)
        if not is_first:
            grace_s = self._rules.hurry_grace_s if self._stops <= 2 else 0.0
            for worker in self._workers.values():
                worker.deadline = worker.drains_until = min(worker.deadline or now, now + grace_s)

    def _maybe_finish(self) -> None:
        if self._exit_code is not None and not self._workers and not self._is_finished:
            self._is_finished = True
            self._actions.append(Finish(self._exit_code))

    # -- time ------------------------------------------------------------------------------------

    def _handle_deadlines(self, now: float) -> None:
        due = [at for at in self._restarts if at <= now]
        for at in due:
            self._restarts.remove(at)
            assert self._current is not None, "a restart belongs to the current generation"
            self._spawn(now, self._current, is_broken=self._is_current_broken)
        for worker in [w for w in self._workers.values() if w.deadline is not None and w.deadline <= now]:
            self._deadline_passed(now, worker)
        supersede_at = self._supersede_at()
        if supersede_at is not None and supersede_at <= now:
            self._abandon_coming(now)
            self._begin_generation(now, is_reload=True)

    def _supersede_at(self) -> float | None:
        """Return when the coming generation has held up the next reload for long enough."""
        coming = self._coming
        if coming is None or not self._is_reload_pending:
            return None
        if any(self._ready(coming.number)) and not any(self._ready(self._current)):
            return None  # it is all there is
        return coming.started_at + self._rules.supersede_after_s

    def _deadline_passed(self, now: float, worker: Worker) -> None:
        was_starting = worker.phase is Phase.STARTING
        self._let_end(now, worker)
        self._actions.append(KillWorker(worker.worker_id))
        if was_starting:
            limit = f"{self._rules.boot_timeout_s:g} s"
            reason = f"worker {worker.worker_id} was not ready within {limit}; raise boot_timeout_s, or look what the "
            self._boot_failed(now, worker, reason + "module waits for while it is imported")

    def _of(self, generation: int | None) -> Iterator[Worker]:
        return (w for w in tuple(self._workers.values()) if w.generation == generation)

    def _ready(self, generation: int | None) -> Iterator[Worker]:
        return (w for w in self._of(generation) if w.phase is Phase.READY)


def _how_it_ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
