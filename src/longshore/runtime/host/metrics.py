"""``HostMetrics``: what a host tells, counted for Prometheus, and the port at which it can be asked (shell).

An event sink like a log. No label comes from outside: no path, no address, no name that a worker looks up, or anybody
could make series without end.
"""

from __future__ import annotations

from functools import singledispatchmethod
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from longshore.proto.ipc.messages import HandlerFailed, RequestFinished, ScheduledFinished
from longshore.runtime.host import events as said

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from longshore.proto.ipc.egress import AuditRecord
    from longshore.proto.ipc.messages import WorkerMessage

__all__ = ["HostMetrics", "MetricsServer"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_VIAS: Final = frozenset({"connect()", "fetch()", "binding", "pool", "socket"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class HostMetrics:
    """Counts events.

    Args:
        worker: the name of the worker that the host runs.
    """

    def __init__(self, worker: str) -> None:
        self.registry = CollectorRegistry()
        self._worker = worker
        self._ready: set[int] = set()
        ProcessCollector(registry=self.registry)
        self._make_request_metrics()
        self._make_process_metrics()
        self._make_egress_metrics()

    def __call__(self, event: said.HostEvent) -> None:
        """Count one event. Neither blocks nor raises."""
        self._count(event.message if isinstance(event, said.FromWorker) else event)

    def _make_request_metrics(self) -> None:
        registry = self.registry
        self._requests = Counter(
            "longshore_requests",
            "Requests that were answered, failed, or lost their client.",
            ["worker", "method", "status", "outcome"],
            registry=registry,
        )
        self._request_s = Histogram(
            "longshore_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["worker"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "longshore_handler_failures", "Handlers that raised.", ["worker", "handler"], registry=registry
        )
        self._scheduled = Counter(
            "longshore_scheduled", "Scheduled handlers that ended.", ["worker", "outcome"], registry=registry
        )

    def _make_process_metrics(self) -> None:
        registry, labels = self.registry, ["worker"]
        self._ready_workers = Gauge("longshore_ready_workers", "Processes that accept.", labels, registry=registry)
        self._boot_s = Histogram(
            "longshore_worker_boot_seconds", "How long a process took to be ready.", labels, registry=registry
        )
        self._boot_failures = Counter(
            "longshore_boot_failures", "Starts whose module could not be run.", labels, registry=registry
        )
        self._exits = Counter(
            "longshore_worker_exits", "Processes that ended.", [*labels, "expected"], registry=registry
        )
        self._reloads = Counter("longshore_reloads", "Reloads that were done.", labels, registry=registry)
        self._ready_workers.labels(self._worker)
        for expected in ("true", "false"):
            self._exits.labels(self._worker, expected)

    def _make_egress_metrics(self) -> None:
        registry, labels = self.registry, ["worker"]
        self._dials = Counter(
            "longshore_egress_dials",
            "Outbound connections that were asked for, by what became of them: open, fail, deny (policy), limit.",
            [*labels, "via", "outcome"],
            registry=registry,
        )
        self._open = Gauge(
            "longshore_egress_open_connections",
            "Outbound connections that are open, where the system can tell their ends.",
            labels,
            registry=registry,
        )
        self._bytes = Counter(
            "longshore_egress_bytes",
            "Payload of outbound connections, counted at their ends.",
            [*labels, "direction"],
            registry=registry,
        )
        self._phase_s = Histogram(
            "longshore_egress_phase_seconds",
            "How long the parts of making a connection took.",
            [*labels, "phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = Counter(
            "longshore_egress_refused_operations", "What no worker may do.", labels, registry=registry
        )
        self._lost = Counter("longshore_egress_process_lost", "Ends of the egress process.", registry=registry)

    # -- counting --------------------------------------------------------------------------------

    @singledispatchmethod
    def _count(self, subject: said.HostEvent | WorkerMessage) -> None:
        pass

    @_count.register
    def _(self, message: RequestFinished) -> None:
        method = message.method if message.method in _METHODS else "other"
        self._requests.labels(self._worker, method, str(message.status), message.outcome).inc()
        self._request_s.labels(self._worker).observe(message.duration_s)

    @_count.register
    def _(self, message: HandlerFailed) -> None:
        self._failures.labels(self._worker, message.where).inc()

    @_count.register
    def _(self, message: ScheduledFinished) -> None:
        self._scheduled.labels(self._worker, message.outcome).inc()

    @_count.register
    def _(self, event: said.WorkerReady) -> None:
        self._ready.add(event.worker_id)
        self._ready_workers.labels(self._worker).set(len(self._ready))
        self._boot_s.labels(self._worker).observe(event.boot_s)

    @_count.register
    def _(self, event: said.WorkerExited) -> None:
        self._ready.discard(event.worker_id)
        self._ready_workers.labels(self._worker).set(len(self._ready))
        self._exits.labels(self._worker, "true" if event.was_expected else "false").inc()

    @_count.register
    def _(self, event: said.BootFailure) -> None:
        self._boot_failures.labels(self._worker).inc()

    @_count.register
    def _(self, event: said.Reloaded) -> None:
        self._reloads.labels(self._worker).inc()

    @_count.register
    def _(self, event: said.EgressLost) -> None:
        self._lost.inc()
        # It can tell no end any more; the workers end with it.
        self._open.clear()

    @_count.register
    def _(self, event: said.Audited) -> None:
        record = event.record
        match record.event:
            case "open":
                self._open.labels(record.worker).inc()
                self._dialed(record)
            case "close":
                self._closed(record)
            case "refuse":
                self._refused.labels(record.worker).inc()
            case _:
                self._dialed(record)

    def _dialed(self, record: AuditRecord) -> None:
        via = record.via if record.via in _VIAS else "other"
        self._dials.labels(record.worker, via, record.event).inc()
        for phase, seconds in (("dns", record.dns_s), ("tcp", record.tcp_s), ("tls", record.tls_s)):
            if seconds is not None:
                self._phase_s.labels(record.worker, phase).observe(seconds)

    def _closed(self, record: AuditRecord) -> None:
        self._open.labels(record.worker).dec()
        for direction, count in (("sent", record.bytes_sent), ("received", record.bytes_received)):
            self._bytes.labels(record.worker, direction).inc(count or 0)


class MetricsServer:
    """Answers scrapes, in a thread of its own, while it is entered.

    Args:
        metrics: what to show.
        host: address to listen on.
        port: the port; 0 for any free one.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, metrics: HostMetrics, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, host, metrics.registry)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop; a scrape in progress is finished."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
