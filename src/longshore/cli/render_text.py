"""One event as lines for ``longshore serve``: a time, a level, the process, and what happened (PURE)."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from longshore.cli.egress_words import Allowing, advice, audited_line
from longshore.cli.isolation import enclosed_words, missing_words
from longshore.cli.levels import level_of, name_of
from longshore.cli.words import (
    EGRESS_LOST,
    POOL_LOST,
    closed_words,
    cut_off_words,
    duration,
    exited_words,
    opened_words,
    port_taken_words,
    printable,
    restart_words,
    status_words,
    tag,
)
from longshore.proto.ipc.messages import (
    ConnectionClosed,
    ConnectionOpened,
    Drained,
    ErrorReport,
    HandlerFailed,
    LogLine,
    RequestFinished,
    ScheduledFinished,
)
from longshore.runtime.host import events as host

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["text_lines"]


def text_lines(event: host.HostEvent, time: datetime, allowing: Allowing = Allowing()) -> list[str]:  # noqa: B008 - frozen
    """Return the lines of an event; none when it is none of a log's business.

    A line that belongs to the one before, as those of a traceback do, is indented.

    Args:
        event: what happened.
        time: of the line.
        allowing: where the worker's rules stand.
    """
    subject = event.message if isinstance(event, host.FromWorker) else event
    if name_of(subject) is None:
        return []
    lines = [line for line in _lines(subject) if line]
    if isinstance(subject, host.Audited) and (hint := advice(subject.record, allowing)):
        lines.append(hint)
    if not lines:
        return []
    worker = getattr(event, "worker_id", None)
    source = "host" if worker is None else f"worker {worker}"
    stamp = time.isoformat(sep=" ", timespec="milliseconds")
    head = f"{stamp} {level_of(subject).upper():<7} {source:<9} "
    return [head + lines[0], *(f"    {line}" for line in lines[1:])]


@singledispatch
def _lines(subject: object) -> list[str]:
    return []


def _tagged(words: str, request_id: str) -> str:
    return f"{words} {tag(request_id)}".rstrip()


def _with_traceback(words: str, report: ErrorReport) -> list[str]:
    return [words, *printable(report.text).rstrip().splitlines()]


@_lines.register
def _(subject: host.Listening) -> list[str]:
    return [f"opened {', '.join(subject.urls)}: connections wait for the first worker"]


@_lines.register
def _(subject: host.Enclosed) -> list[str]:
    return [f"isolation: {enclosed_words(subject)}", *missing_words(subject)]


@_lines.register
def _(subject: host.EgressLost) -> list[str]:
    return [EGRESS_LOST]


@_lines.register
def _(subject: host.PoolLost) -> list[str]:
    return [POOL_LOST]


@_lines.register
def _(subject: host.CertificateNotice) -> list[str]:
    return [f"{printable(subject.key_path)} {printable(subject.text)}"]


@_lines.register
def _(subject: host.Audited) -> list[str]:
    return [_tagged(audited_line(subject.record), subject.record.request_id)]


@_lines.register
def _(subject: host.Serving) -> list[str]:
    return [f"ready on {', '.join(subject.urls)}"]


@_lines.register
def _(subject: host.WorkerStarting) -> list[str]:
    return ["starting"]


@_lines.register
def _(subject: host.WorkerReady) -> list[str]:
    handlers = ", ".join(subject.handlers)
    return [f"ready after {duration(subject.boot_s)}: process {subject.pid}, {subject.loop}, handlers: {handlers}"]


@_lines.register
def _(subject: host.BootFailure) -> list[str]:
    return _with_traceback("cannot start", subject.report)


@_lines.register
def _(subject: host.ReloadStarted) -> list[str]:
    return ["reloading"]


@_lines.register
def _(subject: host.Reloaded) -> list[str]:
    return [f"reloaded in {duration(subject.duration_s)}"]


@_lines.register
def _(subject: host.WorkerExited) -> list[str]:
    return [exited_words(subject)]


@_lines.register
def _(subject: host.Draining) -> list[str]:
    if subject.is_hurried:
        return ["stopping at once: requests in flight are cut off"]
    return ["draining: no new requests are taken, those in flight are finished"]


@_lines.register
def _(subject: host.Stopped) -> list[str]:
    return [f"stopped with {subject.code}"]


@_lines.register
def _(subject: host.CronDue) -> list[str]:
    missed = "" if subject.worker_id is not None else ", but no worker is ready: it is left out"
    return [f"cron {subject.cron} is due{missed}"]


@_lines.register
def _(subject: host.PortTaken) -> list[str]:
    return [port_taken_words(subject)]


@_lines.register
def _(subject: host.ConfigReloaded) -> list[str]:
    return ["the configuration was read anew"]


@_lines.register
def _(subject: host.ConfigRejected) -> list[str]:
    return ["the configuration is wrong, the former one stays in force", *printable(str(subject.error)).splitlines()]


@_lines.register
def _(subject: host.RestartScheduled) -> list[str]:
    return [restart_words(subject)]


@_lines.register
def _(subject: host.HostFailed) -> list[str]:
    return printable(subject.message).splitlines()


@_lines.register
def _(subject: RequestFinished) -> list[str]:
    what = f"{subject.method} {subject.path} {status_words(subject)} ({duration(subject.duration_s)})"
    return [_tagged(printable(what), subject.request_id)]


@_lines.register
def _(subject: ConnectionOpened) -> list[str]:
    what = "failed" if subject.error else "open"
    return [_tagged(f"connection to {printable(subject.address)} {what}: {opened_words(subject)}", subject.request_id)]


@_lines.register
def _(subject: ConnectionClosed) -> list[str]:
    return [_tagged(f"connection to {printable(subject.address)} {closed_words(subject)}", subject.request_id)]


@_lines.register
def _(subject: HandlerFailed) -> list[str]:
    what = f"{subject.where} failed: {printable(subject.subject)}"
    return _with_traceback(_tagged(what, subject.request_id), subject.report)


@_lines.register
def _(subject: ScheduledFinished) -> list[str]:
    return [f"cron {subject.cron} {subject.outcome} ({duration(subject.duration_s)})"]


@_lines.register
def _(subject: LogLine) -> list[str]:
    first, *rest = printable(subject.text).splitlines() or [""]
    name = f"{subject.logger}: " if subject.logger else ""
    return [_tagged(f"{name}{first}", subject.request_id), *rest]


@_lines.register
def _(subject: Drained) -> list[str]:
    if not (subject.cancelled_requests or subject.cancelled_tasks):
        return ["drained"]
    return [cut_off_words(subject)]
