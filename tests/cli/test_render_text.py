"""Tests of the log for people."""

from __future__ import annotations

from datetime import datetime

import pytest

from longshore.cli.render_text import text_lines
from longshore.proto.ipc.messages import Drained, HandOver, LogLine, RequestFinished
from longshore.runtime.host import events
from longshore.runtime.host.events import FromWorker
from tests.cli import samples

NOW = datetime(2026, 11, 23, 14, 52, 0, 123456)  # noqa: DTZ001 - the log shows the time of the place

CASES: list[tuple[events.HostEvent, list[str]]] = [
    (
        events.Listening(("http://a", "http://b")),
        ["INFO    host      opened http://a, http://b: connections wait for the first worker"],
    ),
    (
        events.Enclosed(
            "auto", ("user",), (("seccomp", "too old", "a"), ("network", "", "a"), ("pid", "too old", "b"))
        ),
        [
            "WARNING host      isolation: user",
            "    without seccomp, pid (too old): a, b",
            "    without network: a",
        ],
    ),
    (events.Serving(("http://a", "http://b")), ["INFO    host      ready on http://a, http://b"]),
    (
        events.WorkerReady(1, 4711, 0.084, ("fetch", "scheduled"), "uvloop", is_reload=False),
        ["INFO    worker 1  ready after 84ms: process 4711, uvloop, handlers: fetch, scheduled"],
    ),
    (events.WorkerExited(1, 0, was_expected=True), ["DEBUG   worker 1  ended with 0"]),
    (
        events.WorkerExited(1, -9, was_expected=False),
        ["ERROR   worker 1  was ended by SIGKILL, which nobody asked for"],
    ),
    (
        events.RestartScheduled(0.5, 2),
        ["WARNING host      starting another one in 500ms (it died 2 times in a row)"],
    ),
    (FromWorker(1, samples.REQUEST), ["INFO    worker 1  GET /customers?page=2 200 OK (5ms) #17"]),
    (
        FromWorker(1, samples.OPENED),
        ["DEBUG   worker 1  connection to db.example:5432 open: 192.0.2.7:5432  dns 0.2ms  tcp 4ms  tls 12ms #17"],
    ),
    (
        FromWorker(1, samples.REFUSED),
        ["WARNING worker 1  connection to db.example:5432 failed: connection refused #17"],
    ),
    (
        FromWorker(1, samples.FAILED),
        [
            "ERROR   worker 1  fetch failed: GET /customers #17",
            "    Traceback (most recent call last):",
            '      File "entry.py", line 12, in fetch',
            "    LookupError: no customer 7",
        ],
    ),
    (FromWorker(1, samples.LOG), ["WARNING worker 1  shop: low on stock #17", "    really"]),
    (FromWorker(1, Drained()), ["DEBUG   worker 1  drained"]),
    (
        FromWorker(1, Drained(cancelled_requests=2, cancelled_tasks=1)),
        ["WARNING worker 1  out of time: cut off 2 requests and 1 background task"],
    ),
    (FromWorker(1, LogLine(level="info", text="")), []),
    (FromWorker(1, HandOver()), []),
]


@pytest.mark.parametrize(("event", "expected"), CASES, ids=lambda case: type(case).__name__)
def test_an_event_is_a_line_and_what_belongs_to_it(event: events.HostEvent, expected: list[str]) -> None:
    head = [f"2026-11-23 14:52:00.123 {line}" for line in expected[:1]]
    assert text_lines(event, NOW) == [*head, *expected[1:]]


@pytest.mark.parametrize("event", samples.ALL, ids=lambda event: type(getattr(event, "message", event)).__name__)
def test_every_event_has_a_line(event: events.HostEvent) -> None:
    assert text_lines(event, NOW)


def test_what_comes_from_outside_cannot_forge_a_line() -> None:
    path = "/\x1b[2K\r2026-11-23 all is well"
    request = RequestFinished(request_id="1", method="GET", path=path, status=200, duration_s=0)
    (line,) = text_lines(FromWorker(1, request), NOW)
    assert "\\x1b[2K\\x0d" in line


def test_an_end_in_a_hurry_is_no_draining() -> None:
    (line,) = text_lines(events.Draining(30.0, is_hurried=True), NOW)
    assert line.endswith("stopping at once: requests in flight are cut off")
