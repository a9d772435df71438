"""What every event is called in a log, and how much it matters (PURE)."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Final

from longshore.cli.egress_words import is_news
from longshore.cli.isolation import is_worrying
from longshore.proto.ipc.messages import (
    ConnectionClosed,
    ConnectionOpened,
    Drained,
    HandlerFailed,
    LogLine,
    RequestFinished,
    ScheduledFinished,
)
from longshore.runtime.host import events as host

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import WorkerMessage

__all__ = ["LEVELS", "level_of", "name_of"]

LEVELS: Final = ("debug", "info", "warning", "error")
"""What does not matter first."""
SERVER_ERROR: Final = 500

NAMES: Final[dict[type, str]] = {
    host.Listening: "listening",
    host.Enclosed: "isolation",
    host.EgressLost: "egress_lost",
    host.PoolLost: "pool_lost",
    host.CertificateNotice: "certificate",
    host.Serving: "serving",
    host.WorkerStarting: "worker_starting",
    host.WorkerReady: "worker_ready",
    host.BootFailure: "boot_failed",
    host.ReloadStarted: "reload_started",
    host.Reloaded: "reloaded",
    host.WorkerExited: "worker_exited",
    host.Draining: "draining",
    host.Stopped: "stopped",
    host.CronDue: "cron_due",
    host.PortTaken: "port_taken",
    host.ConfigReloaded: "config_reloaded",
    host.ConfigRejected: "config_rejected",
    host.RestartScheduled: "restart_scheduled",
    host.HostFailed: "host_failed",
    RequestFinished: "request",
    ConnectionOpened: "connection_opened",
    ConnectionClosed: "connection_closed",
    HandlerFailed: "handler_failed",
    ScheduledFinished: "scheduled",
    LogLine: "log",
    Drained: "drained",
}


def name_of(subject: host.HostEvent | WorkerMessage) -> str | None:
    """Return what the event is called; None when it is none of a log's business."""
    if isinstance(subject, host.Audited):
        return f"egress_{subject.record.event}"
    return NAMES.get(type(subject))


@singledispatch
def level_of(subject: object) -> str:
    """Return ``debug``, ``info``, ``warning`` or ``error``."""
    return "info"


@level_of.register(host.WorkerStarting)
@level_of.register(ConnectionClosed)
def _(subject: object) -> str:
    return "debug"


@level_of.register(host.PortTaken)
@level_of.register(host.CertificateNotice)
@level_of.register(host.RestartScheduled)
def _(subject: object) -> str:
    return "warning"


@level_of.register(host.EgressLost)
@level_of.register(host.PoolLost)
@level_of.register(host.BootFailure)
@level_of.register(host.HostFailed)
@level_of.register(host.ConfigRejected)
@level_of.register(HandlerFailed)
def _(subject: object) -> str:
    return "error"


@level_of.register
def _(subject: host.Enclosed) -> str:
    return "warning" if is_worrying(subject) else "info"


@level_of.register
def _(subject: host.Audited) -> str:
    if subject.record.event in {"deny", "limit", "refuse"}:
        return "warning"
    return "warning" if subject.record.event == "fail" and is_news(subject.record) else "debug"


@level_of.register
def _(subject: host.CronDue) -> str:
    return "warning" if subject.worker_id is None else "debug"


@level_of.register
def _(subject: host.WorkerExited) -> str:
    return "debug" if subject.was_expected else "error"


@level_of.register
def _(subject: RequestFinished) -> str:
    if subject.status >= SERVER_ERROR or subject.outcome == "error":
        return "error"
    return "info"


@level_of.register
def _(subject: ConnectionOpened) -> str:
    return "warning" if subject.error else "debug"


@level_of.register
def _(subject: ScheduledFinished) -> str:
    return "info" if subject.outcome == "ok" else "error"


@level_of.register
def _(subject: LogLine) -> str:
    return subject.level


@level_of.register
def _(subject: Drained) -> str:
    return "warning" if subject.cancelled_requests or subject.cancelled_tasks else "debug"
