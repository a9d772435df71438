"""What Prometheus is told of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from longshore.proto.ipc.egress import AuditRecord
from longshore.proto.ipc.messages import HandlerFailed, RequestFinished, ScheduledFinished
from longshore.runtime.host import events as said
from longshore.runtime.host.metrics import HostMetrics, MetricsServer
from tests.cli import samples

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import WorkerMessage


class Seen:
    """Metrics, and what they show."""

    def __init__(self) -> None:
        self.metrics = HostMetrics("shop")

    def say(self, message: WorkerMessage) -> None:
        self.metrics(said.FromWorker(1, message))

    def audit(self, event: str, via: str = "socket", **numbers: float | None) -> None:
        record = AuditRecord(event=event, worker="shop", worker_id=1, via=via, **numbers)  # type: ignore[arg-type]
        self.metrics(said.Audited(record))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"longshore_{name}", labels)


def request(method: str = "GET", status: int = 200, outcome: str = "ok") -> RequestFinished:
    return RequestFinished(request_id="1", method=method, path="/x", status=status, duration_s=0.003, outcome=outcome)


def test_requests() -> None:
    seen = Seen()
    seen.say(request())
    seen.say(request())
    seen.say(request("FROBNICATE", 500, "error"))
    assert seen.value("requests_total", worker="shop", method="GET", status="200", outcome="ok") == 2
    assert seen.value("requests_total", worker="shop", method="other", status="500", outcome="error") == 1
    assert seen.value("request_duration_seconds_count", worker="shop") == 3
    assert seen.value("request_duration_seconds_bucket", worker="shop", le="0.0025") == 0
    assert seen.value("request_duration_seconds_bucket", worker="shop", le="0.005") == 3


def test_handlers() -> None:
    seen = Seen()
    seen.say(HandlerFailed(where="wait_until", request_id="1", subject="GET /", report=samples.REPORT))
    seen.say(ScheduledFinished(cron="* * * * *", duration_s=1, outcome="ok"))
    assert seen.value("handler_failures_total", worker="shop", handler="wait_until") == 1
    assert seen.value("scheduled_total", worker="shop", outcome="ok") == 1


def test_processes() -> None:
    seen = Seen()
    assert seen.value("ready_workers", worker="shop") == 0
    for worker_id in (1, 2):
        seen.metrics(said.WorkerReady(worker_id, 4711, 0.1, ("fetch",), "uvloop", is_reload=False))
    assert seen.value("ready_workers", worker="shop") == 2
    seen.metrics(said.WorkerExited(1, -9, was_expected=False))
    seen.metrics(said.WorkerExited(7, 0, was_expected=True))  # it was never ready
    seen.metrics(said.BootFailure(3, samples.REPORT, is_reload=True))
    seen.metrics(said.Reloaded(0.1))
    assert seen.value("ready_workers", worker="shop") == 1
    assert seen.value("worker_exits_total", worker="shop", expected="false") == 1
    assert seen.value("worker_exits_total", worker="shop", expected="true") == 1
    assert seen.value("boot_failures_total", worker="shop") == 1
    assert seen.value("reloads_total", worker="shop") == 1
    assert seen.value("worker_boot_seconds_count", worker="shop") == 2


def test_outbound_connections() -> None:
    seen = Seen()
    seen.audit("open", "connect()", dns_s=0.002, tcp_s=0.02)
    seen.audit("open")
    for event in ("fail", "deny", "limit"):
        seen.audit(event)
        assert seen.value("egress_dials_total", worker="shop", via="socket", outcome=event) == 1
    assert seen.value("egress_dials_total", worker="shop", via="connect()", outcome="open") == 1
    assert seen.value("egress_open_connections", worker="shop") == 2
    assert seen.value("egress_phase_seconds_sum", worker="shop", phase="tcp") == 0.02
    assert seen.value("egress_phase_seconds_count", worker="shop", phase="tls") is None
    seen.audit("close", bytes_sent=10, bytes_received=20)
    seen.audit("close", bytes_sent=None, bytes_received=None)
    assert seen.value("egress_open_connections", worker="shop") == 0
    assert seen.value("egress_bytes_total", worker="shop", direction="sent") == 10
    assert seen.value("egress_bytes_total", worker="shop", direction="received") == 20
    seen.audit("refuse", "")
    assert seen.value("egress_refused_operations_total", worker="shop") == 1


def test_a_worker_cannot_make_a_series_by_what_it_says() -> None:
    seen = Seen()
    for number in range(100):
        seen.audit("open", f"via {number}")
        seen.say(request(f"METHOD{number}"))
    assert seen.value("egress_dials_total", worker="shop", via="other", outcome="open") == 100
    assert seen.value("requests_total", worker="shop", method="other", status="200", outcome="ok") == 100


def test_nothing_is_open_when_the_egress_process_is_lost() -> None:
    seen = Seen()
    seen.audit("open")
    seen.metrics(said.EgressLost())
    assert seen.value("egress_open_connections", worker="shop") is None
    assert seen.value("egress_process_lost_total") == 1


@pytest.mark.parametrize("event", samples.ALL)
def test_every_event_can_be_counted(event: said.HostEvent) -> None:
    HostMetrics("shop")(event)


def test_it_can_be_scraped() -> None:
    seen = Seen()
    seen.say(request())
    with MetricsServer(seen.metrics, "127.0.0.1", 0) as server:
        answer = httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False)
        assert answer.status_code == 200
        assert 'longshore_requests_total{method="GET",outcome="ok",status="200",worker="shop"} 1.0' in answer.text
        with pytest.raises(OSError, match="in use"):
            MetricsServer(seen.metrics, "127.0.0.1", server.port)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False)
