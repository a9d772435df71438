"""Events as the host sends them, for the tests of everything that shows them."""

from __future__ import annotations

from longshore.proto.ipc.egress import AuditRecord
from longshore.proto.ipc.messages import (
    ConnectionClosed,
    ConnectionOpened,
    Drained,
    ErrorReport,
    HandlerFailed,
    LogLine,
    RequestFinished,
    ScheduledFinished,
    SourceFrame,
)
from longshore.runtime.host import events
from longshore.runtime.host.events import FromWorker

PROJECT = "/home/ada/shop"

USERS = SourceFrame(
    file=f"{PROJECT}/src/entry.py",
    line=12,
    function="fetch",
    first_line=10,
    source=(
        "    async def fetch(self, request):",
        "        number = 7",
        "        raise LookupError(f'no customer {number}')",
    ),
    is_users=True,
)
LIBRARYS = SourceFrame(file="/venv/lib/python3.11/site-packages/asyncpg/connection.py", line=3, function="connect")
STANDARDS = SourceFrame(file="/usr/lib/python3.11/asyncio/tasks.py", line=3, function="wait")
TRACEBACK = 'Traceback (most recent call last):\n  File "entry.py", line 12, in fetch\nLookupError: no customer 7\n'
REPORT = ErrorReport(
    type="LookupError",
    message="no customer 7",
    text=TRACEBACK,
    frames=(LIBRARYS, STANDARDS, USERS, LIBRARYS),
    notes=("ask for another one",),
    cause=ErrorReport(type="KeyError", message="7", text="KeyError: 7\n", frames=(LIBRARYS,)),
)

REQUEST = RequestFinished(request_id="0192ab-17", method="GET", path="/customers?page=2", status=200, duration_s=0.0051)
OPENED = ConnectionOpened(
    connection_id=1,
    request_id="0192ab-17",
    address="db.example:5432",
    remote_address="192.0.2.7:5432",
    dns_s=0.0002,
    tcp_s=0.004,
    tls_s=0.012,
)
REFUSED = ConnectionOpened(
    connection_id=2, request_id="0192ab-17", address="db.example:5432", error="connection refused", tcp_s=0.001
)
CLOSED = ConnectionClosed(
    connection_id=1,
    request_id="0192ab-17",
    address="db.example:5432",
    bytes_sent=1234,
    bytes_received=5_600_000,
    duration_s=1.234,
    ended="closed",
)
FAILED = HandlerFailed(where="fetch", request_id="0192ab-17", subject="GET /customers", report=REPORT)
LOG = LogLine(level="warning", text="low on stock\nreally", request_id="0192ab-17", logger="shop")
CRON = ScheduledFinished(cron="*/5 * * * *", duration_s=0.5)

ALL: tuple[events.HostEvent, ...] = (
    events.Listening(("http://localhost:8787",)),
    events.Enclosed("auto", ("user", "seccomp"), (("cgroup", "not writable", "no bounds"),)),
    events.EgressLost(),
    events.PoolLost(),
    events.CertificateNotice("egress.BILLING.ca", "the CA 'partner' expired on 2026-01-01"),
    events.Audited(AuditRecord(event="deny", worker="shop", worker_id=1, name="10.0.0.5", port=80, rule="private")),
    events.Serving(("http://localhost:8787",)),
    events.PortTaken(8787, 8788, "python, process 4711"),
    events.WorkerStarting(1),
    events.WorkerReady(1, 4711, 0.084, ("fetch", "scheduled"), "uvloop", is_reload=False),
    events.BootFailure(2, REPORT, is_reload=True),
    events.ReloadStarted((f"{PROJECT}/src/entry.py",)),
    events.Reloaded(0.084),
    events.WorkerExited(1, 0, was_expected=True),
    events.WorkerExited(1, -9, was_expected=False),
    events.RestartScheduled(0.5, 2),
    events.Draining(30.0, is_hurried=False),
    events.CronDue("*/5 * * * *", 1),
    events.CronDue("*/5 * * * *", None),
    events.ConfigRejected(ValueError("no such key")),
    events.HostFailed("port 8787 is taken", 78),
    events.Stopped(0),
    *(
        FromWorker(1, message)
        for message in (REQUEST, OPENED, REFUSED, CLOSED, FAILED, LOG, CRON, Drained(cancelled_requests=1))
    ),
)
