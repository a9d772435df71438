"""``longshore serve``: the host's events as a log, and nothing that moves."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from longshore.cli.console import CommandFailed
from longshore.cli.egress_words import Allowing
from longshore.cli.levels import LEVELS, level_of
from longshore.cli.log_writer import LogWriter
from longshore.cli.render_json import json_line
from longshore.cli.render_text import text_lines
from longshore.core.addresses import SocketAddress
from longshore.errors import UsageError
from longshore.proto.ipc.messages import RequestFinished
from longshore.runtime.host.events import ConfigRejected, ConfigReloaded, FromWorker, ReloadStarted
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from longshore.config.model import WorkerConfig
    from longshore.runtime.host.events import EventSink, HostEvent

__all__ = ["LogSink", "serve"]


def serve(
    load: Callable[[], WorkerConfig],
    *,
    host: str | None,
    port: int | None,
    workers: int | None,
    log: str | None,
    log_level: str = "info",
    metrics: str | None = None,
    secret_files: tuple[str, ...] = (),
) -> int:
    """Run a worker until it is stopped; return the exit code.

    Args:
        load: loads the configuration, at first and at SIGHUP.
        host: the address to listen on, instead of the configuration's.
        port: the port, instead of the configuration's.
        workers: how many processes, instead of the configuration's number.
        log: ``"json"`` or ``"text"``, instead of the configuration's choice.
        log_level: what matters less than this is not logged: ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
        metrics: ``host:port`` for metrics, instead of the configuration's.
        secret_files: what no worker may read although it lies in its project.

    Raises:
        CommandFailed: metrics cannot be served at their address.
        ConfigError: the configuration cannot be used; a later one that cannot is logged, and the former stays in force.
    """
    config = load()
    settings = config.serve
    metrics = metrics or settings.metrics
    options = HostOptions(
        host=host or settings.host,
        port=settings.port if port is None else port,
        workers=workers or settings.workers,
        drain_timeout_s=settings.drain_timeout_s,
        boot_timeout_s=settings.boot_timeout_s,
        # They are counted, too.
        log_requests=settings.log_requests or metrics is not None,
        load=load,
        secret_files=secret_files,
    )
    is_json = (log or settings.log_format) == "json"
    had_terminal = sys.stdout.isatty()

    def sink(event: HostEvent) -> None:
        write(event)
        if count is not None:
            count(event)
        # SIGHUP asks for a reload; it is also how a terminal says that it was closed, and nobody could end us any more.
        if had_terminal and isinstance(event, ReloadStarted | ConfigRejected) and not sys.stdout.isatty():
            supervisor.stop()

    with (
        counting(config.name, metrics) as count,
        LogWriter(sys.stdout.fileno(), dropped_as_json if is_json else dropped_as_text) as stream,
    ):
        write = LogSink(
            stream,
            is_json=is_json,
            level=log_level,
            log_requests=settings.log_requests,
            allowing=Allowing.of(config),
        )
        supervisor = Supervisor(config, options, sink)
        return asyncio.run(supervisor.run())


@contextmanager
def counting(worker: str, address: str | None) -> Iterator[EventSink | None]:
    """Serve metrics; give what is to be told the events, None when nobody wants metrics.

    Args:
        worker: the name of the worker.
        address: ``host:port``; None: no metrics.

    Raises:
        CommandFailed: they cannot be served there.
    """
    if address is None:
        yield None
        return
    from longshore.runtime.host.metrics import HostMetrics, MetricsServer  # noqa: PLC0415 - a library that few need

    counted = HostMetrics(worker)
    try:
        parsed = SocketAddress.parse(address)
        server = MetricsServer(counted, parsed.hostname, parsed.port)
    except (OSError, UsageError) as exc:
        raise CommandFailed(f"cannot serve metrics at {address}: {exc}") from exc
    with server:
        yield counted


def dropped_as_text(count: int) -> str:
    """Return the line that says how many lines nobody read."""
    return f"{count} lines of the log were dropped, for nobody read it"


def dropped_as_json(count: int) -> str:
    """Return the same for machines."""
    return f'{{"level":"warning","event":"log_dropped","lines":{count}}}'


class LogSink:
    """Writes each event as soon as it is there.

    Args:
        stream: where to.
        is_json: one JSON object a line instead of text.
        level: of what matters enough.
        log_requests: False: requests that were answered are left out.
        allowing: where the worker's rules stand.
    """

    def __init__(
        self,
        stream: TextIO | LogWriter,
        *,
        is_json: bool,
        level: str = "info",
        log_requests: bool = True,
        allowing: Allowing = Allowing(),  # noqa: B008 - frozen
    ) -> None:
        self._stream = stream
        self._allowing = allowing
        self._levels = frozenset(LEVELS[LEVELS.index(level) :])
        self._is_json = is_json
        self._log_requests = log_requests

    def __call__(self, event: HostEvent) -> None:
        """Write one event, if it matters enough."""
        if isinstance(event, ConfigReloaded):
            self._allowing = Allowing.of(event.config)
        subject = event.message if isinstance(event, FromWorker) else event
        if level_of(subject) not in self._levels or (not self._log_requests and isinstance(subject, RequestFinished)):
            return
        now = datetime.now(UTC)  # noqa: TID251 - a log says at what time of day something happened
        if self._is_json:
            line = json_line(event, now)
            lines = [] if line is None else [line]
        else:
            lines = text_lines(event, now.astimezone().replace(tzinfo=None), self._allowing)
        if lines:
            self._write("".join(f"{line}\n" for line in lines))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
