"""What a new worker is told first, and what is known about one that never became ready (PURE but for its imports)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from longshore.config.model import WorkerConfig
from longshore.proto.ipc.messages import ErrorReport, Start

if TYPE_CHECKING:
    from longshore.credentials.store import CredentialStore
    from longshore.proto.ipc.jail import JailPlan
    from longshore.proto.ipc.messages import SourceFrame
    from longshore.runtime.host.options import HostOptions

__all__ = ["broken_config", "extra_roots", "silent_failure", "start_message"]

BROKEN_WORKER = "longshore.runtime.worker.broken:app"


def start_message(
    config: WorkerConfig,
    worker_id: int,
    options: HostOptions,
    urls: tuple[str, ...],
    *,
    jail: JailPlan | None = None,
    extra_roots: str = "",
    environment: dict[str, str] | None = None,
) -> Start:
    """Return the first message to a worker.

    Args:
        config: the worker.
        worker_id: counts all workers of the host.
        options: how the host runs.
        urls: where it listens.
        jail: what the worker is put into.
        extra_roots: certificates that it trusts besides the system's.
        environment: its environment when it has no jail, which brings one.
    """
    return Start(
        config=msgspec.Raw(msgspec.json.encode(config)),
        worker_id=worker_id,
        is_dev=options.is_dev,
        log_requests=options.log_requests,
        log_connections=options.log_connections,
        urls=urls,
        boot_timeout_s=options.boot_timeout_s,
        has_traps=jail is not None and "seccomp" in jail.layers,
        extra_roots=extra_roots,
        environment=environment if jail is None else None,
    )


def extra_roots(config: WorkerConfig, credentials: CredentialStore) -> str:
    """Return the certificates of ``[tls] ca``, having read every credential that the configuration names.

    One that is missing is told when the worker starts, and not when it first connects.

    Raises:
        CredentialError: there is none of a name, or it cannot be used.
    """
    named = [(each.ca, each.client_certificate) for each in config.egress]
    named += [(each.ca, each.certificate) for each in config.mtls_certificates]
    for ca, certificate in named:
        if ca is not None:
            credentials.ca_bundle(ca)
        if certificate is not None:
            credentials.client_certificate(certificate)
    return "".join(credentials.ca_bundle(name) for name in config.tls.ca)


def broken_config(config: WorkerConfig, report: ErrorReport) -> WorkerConfig:
    """Return the configuration of the worker that shows why ``config`` cannot be run.

    It is a worker like any other, so that it is started, reloaded and drained like any other.
    """
    return WorkerConfig(
        name=config.name,
        main=BROKEN_WORKER,
        module_root=config.module_root,
        project_dir=config.project_dir,
        sandbox=config.sandbox,
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
