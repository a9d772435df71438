"""What a host tells whoever runs it (values, past tense): the terminal, a JSON log, a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.egress import AuditRecord
    from longshore.proto.ipc.messages import ErrorReport, WorkerMessage

__all__ = [
    "Audited",
    "BootFailure",
    "ConfigReloaded",
    "ConfigRejected",
    "CronDue",
    "Draining",
    "EgressLost",
    "Enclosed",
    "EventSink",
    "FromWorker",
    "HostEvent",
    "HostFailed",
    "Listening",
    "PoolLost",
    "PortTaken",
    "ReloadStarted",
    "Reloaded",
    "RestartScheduled",
    "Serving",
    "Stopped",
    "WatchFailed",
    "WorkerExited",
    "WorkerReady",
    "WorkerStarting",
]


@dataclass(frozen=True, slots=True)
class Listening:
    """The ports are open; connections wait until the first worker is ready."""

    urls: tuple[str, ...]
    """The one to show first."""


@dataclass(frozen=True, slots=True)
class PortTaken:
    """The wanted port has a holder, and another was chosen."""

    wanted: int
    port: int
    holder: str
    """Who has it, empty when that cannot be found out."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """How far workers are shut in from now on; said at the start, and when a new configuration changes it."""

    isolation: str
    """``"auto"``, ``"required"`` or ``"off"``."""
    in_force: tuple[str, ...]
    """Names of the layers (``longshore.sandbox.layers``)."""
    missing: tuple[tuple[str, str, str], ...]
    """Of the layers that this system lacks: name, why, and what is lost. Empty when nothing was wanted."""


@dataclass(frozen=True, slots=True)
class EgressLost:
    """The process that connections are made by ended; there is a new one, and the workers are replaced."""


@dataclass(frozen=True, slots=True)
class PoolLost:
    """The process that keeps connections to databases ended; another one takes its place, and workers live on."""


@dataclass(frozen=True, slots=True)
class CertificateNotice:
    """A certificate that the configuration names expires soon, has expired, or cannot be used; said once a day."""

    key_path: str
    """Where in the configuration it is named."""
    text: str


@dataclass(frozen=True, slots=True)
class WorkerStarting:
    """A worker process was asked for."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker accepts connections."""

    worker_id: int
    pid: int
    boot_s: float
    handlers: tuple[str, ...]
    loop: str
    is_reload: bool
    is_broken: bool = False
    """True: it serves the page that shows why the module cannot be run."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The first worker is ready: from now on connections are answered."""

    urls: tuple[str, ...]
    """The one to show first."""


@dataclass(frozen=True, slots=True)
class BootFailure:
    """The module cannot be run; said once for all workers of a start."""

    worker_id: int
    report: ErrorReport
    is_reload: bool


@dataclass(frozen=True, slots=True)
class ReloadStarted:
    """Files changed, or somebody asked."""

    paths: tuple[str, ...]
    """The files, empty when somebody asked."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """New code answers."""

    duration_s: float
    """Since the reload started."""


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration file changed and is right; a reload with it follows."""

    config: WorkerConfig


@dataclass(frozen=True, slots=True)
class ConfigRejected:
    """The configuration file changed and is wrong; the old one stays in force."""

    error: Exception


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """A worker process ended."""

    worker_id: int
    code: int
    """Exit code; negative: the signal that ended it."""
    was_expected: bool
    """True also of one that ended before it was ready: ``BootFailure`` says so."""


@dataclass(frozen=True, slots=True)
class RestartScheduled:
    """A worker died and will be replaced."""

    in_s: float
    crashes: int
    """In a row."""


@dataclass(frozen=True, slots=True)
class Draining:
    """The host stops: no new connections, requests in flight are finished."""

    timeout_s: float
    is_hurried: bool
    """True: it was asked twice."""


@dataclass(frozen=True, slots=True)
class CronDue:
    """A ``scheduled`` handler is called."""

    cron: str
    worker_id: int | None
    """None: no worker was ready, so it was not."""


@dataclass(frozen=True, slots=True)
class FromWorker:
    """A worker said something about its requests, connections, handlers or logs."""

    worker_id: int
    message: WorkerMessage


@dataclass(frozen=True, slots=True)
class Audited:
    """An outbound connection of a worker, or an attempt."""

    record: AuditRecord

    @property
    def worker_id(self) -> int:
        """Of the worker process."""
        return self.record.worker_id


@dataclass(frozen=True, slots=True)
class WatchFailed:
    """Files cannot be watched any more; reloads are by hand from now on."""

    message: str


@dataclass(frozen=True, slots=True)
class HostFailed:
    """The host cannot run: its port is taken, or its helper process does not start."""

    message: str
    code: int
    """The exit code that follows."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Everything has ended; the last event."""

    code: int


HostEvent: TypeAlias = (
    Listening
    | PortTaken
    | Enclosed
    | EgressLost
    | PoolLost
    | CertificateNotice
    | WorkerStarting
    | WorkerReady
    | Serving
    | BootFailure
    | ReloadStarted
    | Reloaded
    | ConfigReloaded
    | ConfigRejected
    | WorkerExited
    | RestartScheduled
    | Draining
    | CronDue
    | FromWorker
    | Audited
    | WatchFailed
    | HostFailed
    | Stopped
)
EventSink: TypeAlias = Callable[[HostEvent], None]
"""Called in the loop of the host; must neither block nor raise."""
