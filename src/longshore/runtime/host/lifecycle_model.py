"""What the life cycle of workers is told, what it decides, and its numbers (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

__all__ = [
    "Action",
    "AnnounceBootFailure",
    "AnnounceDraining",
    "AnnounceExit",
    "AnnounceReload",
    "AnnounceReloaded",
    "AnnounceRestart",
    "Begin",
    "BootRejected",
    "DrainWorker",
    "Event",
    "Finish",
    "KillWorker",
    "Phase",
    "ReloadRequested",
    "Rules",
    "SpawnWorker",
    "StopRequested",
    "TimePassed",
    "Worker",
    "WorkerBecameReady",
    "WorkerEnded",
    "restart_delay_s",
]

EXIT_BOOT_FAILURE = 3
EXIT_INTERNAL = 70


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers that a host runs by."""

    workers: int = 1
    """Processes that serve at the same time."""
    is_dev: bool = False
    """True: a module that cannot be run is shown as an error page; False: the old code goes on."""
    drain_timeout_s: float = 30.0
    boot_timeout_s: float = 30.0
    kill_grace_s: float = 5.0
    """What a worker gets beyond its drain timeout to end by itself; then it is killed, again and again."""
    starting_grace_s: float = 1.0
    """What a worker that nobody waits for any more gets to say that it had begun to serve."""
    hurry_grace_s: float = 0.5
    """What is left to everybody after the second stop."""
    supersede_after_s: float = 1.0
    """How long a reload under way may hold up the next one."""
    stable_after_s: float = 60.0
    """A worker that served this long has not crashed "again"."""


def restart_delay_s(crashes: int) -> float:
    """Return how long to wait before the next start: 0 after the first crash, then 1 s, 2 s, 4 s, … 30 s."""
    # 30 s: a database that comes back is noticed soon, and a worker that never boots costs next to nothing.
    return 0.0 if crashes <= 0 else min(30.0, 2.0 ** min(crashes - 1, 5))


class Phase(Enum):
    """Where a worker process is in its life; one that ended is no longer in the table."""

    STARTING = auto()
    READY = auto()
    DRAINING = auto()
    ENDING = auto()
    """It said that it cannot boot, or was killed: nothing more is asked of it."""


@dataclass(slots=True)
class Worker:
    """One worker process."""

    worker_id: int
    generation: int
    phase: Phase
    deadline: float | None
    """When something is done about it: every worker that is not READY has one."""
    ready_at: float = 0.0
    drains_until: float = 0.0
    """The end of the drain it was granted, should it turn out to be serving."""


# --- events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The host is about to serve."""


@dataclass(frozen=True, slots=True)
class WorkerBecameReady:
    """A worker accepts connections."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class BootRejected:
    """A worker said that the module cannot be run; its process ends by itself."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """The process is gone and reaped."""

    worker_id: int
    code: int
    """Exit code; negative: the signal."""


@dataclass(frozen=True, slots=True)
class ReloadRequested:
    """The code or the configuration changed."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """End: in order at the first time, soon at the second, at once at the third."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """``HostState.deadline()`` is reached."""


Event: TypeAlias = Begin | WorkerBecameReady | BootRejected | WorkerEnded | ReloadRequested | StopRequested | TimePassed

# --- actions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpawnWorker:
    """Fork a worker that runs the code of a generation."""

    worker_id: int
    generation: int
    is_broken: bool
    """True: the page that shows why the module cannot be run, instead of the module."""


@dataclass(frozen=True, slots=True)
class DrainWorker:
    """Tell a worker to finish."""

    worker_id: int
    timeout_s: float
    hand_over: bool


@dataclass(frozen=True, slots=True)
class KillWorker:
    """SIGKILL."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class Finish:
    """No worker is left: end the host."""

    code: int


@dataclass(frozen=True, slots=True)
class AnnounceReload:
    """A reload begins; several requests may have become this one."""

    generation: int


@dataclass(frozen=True, slots=True)
class AnnounceReloaded:
    """New code answers; the old workers finish what they have."""

    generation: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class AnnounceBootFailure:
    """A generation cannot serve; said once for it."""

    worker_id: int
    is_reload: bool
    reason: str
    """Empty when the worker reported the exception itself."""


@dataclass(frozen=True, slots=True)
class AnnounceExit:
    """A process ended."""

    worker_id: int
    code: int
    was_expected: bool
    """True also of one that ended before it was ready, when a boot failure says so."""


@dataclass(frozen=True, slots=True)
class AnnounceRestart:
    """A worker that died will be replaced."""

    in_s: float
    crashes: int
    """In a row, this one included."""


@dataclass(frozen=True, slots=True)
class AnnounceDraining:
    """The host stops."""

    timeout_s: float
    is_hurried: bool


Action: TypeAlias = (
    SpawnWorker
    | DrainWorker
    | KillWorker
    | Finish
    | AnnounceReload
    | AnnounceReloaded
    | AnnounceBootFailure
    | AnnounceExit
    | AnnounceRestart
    | AnnounceDraining
)
