"""What a new worker is told first, and what is known about one that never became ready (PURE but for its imports)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from longshore.config.model import WorkerConfig
from longshore.proto.ipc.messages import ErrorReport, Start

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import SourceFrame
    from longshore.runtime.host.options import HostOptions

__all__ = ["broken_config", "silent_failure", "start_message"]

BROKEN_WORKER = "longshore.runtime.worker.broken:app"


def start_message(config: WorkerConfig, worker_id: int, options: HostOptions, urls: tuple[str, ...]) -> Start:
    """Return the first message to a worker."""
    return Start(
        config=msgspec.Raw(msgspec.json.encode(config)),
        worker_id=worker_id,
        is_dev=options.is_dev,
        log_requests=options.log_requests,
        log_connections=options.log_connections,
        urls=urls,
        boot_timeout_s=options.boot_timeout_s,
    )


def broken_config(config: WorkerConfig, report: ErrorReport) -> WorkerConfig:
    """Return the configuration of the worker that shows why ``config`` cannot be run.

    It is a worker like any other, so that it is started, reloaded and drained like any other.
    """
    return WorkerConfig(
        name=config.name,
        main=BROKEN_WORKER,
        module_root=config.module_root,
        project_dir=config.project_dir,
        vars={"report": msgspec.to_builtins(report)},
    )


def silent_failure(reason: str, frames: tuple[SourceFrame, ...] = ()) -> ErrorReport:
    """Return the report on a worker that could not report itself.

    Args:
        reason: what the host knows.
        frames: where the worker was when it was last heard of.
    """
    places = (f'  File "{frame.file}", line {frame.line}, in {frame.function}{_code(frame)}' for frame in frames)
    return ErrorReport(type="BootFailure", message=reason, text="\n".join([reason, *places]), frames=frames)


def _code(frame: SourceFrame) -> str:
    index = frame.line - frame.first_line
    return f"\n    {frame.source[index].strip()}" if 0 <= index < len(frame.source) else ""
