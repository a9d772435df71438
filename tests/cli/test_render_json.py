"""Tests of the log for machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from longshore.cli.render_json import json_line, json_object
from longshore.config.model import WorkerConfig
from longshore.proto.ipc.messages import HandOver
from longshore.runtime.host import events
from longshore.runtime.host.events import FromWorker
from tests.cli import samples

NOW = datetime(2026, 11, 23, 14, 52, 0, 123456, tzinfo=UTC)
STAMP = "2026-11-23T14:52:00.123Z"


def shown(event: events.HostEvent) -> dict[str, Any]:
    """Return the object, without its time."""
    line = json_line(event, NOW)
    assert line is not None
    found: dict[str, Any] = json.loads(line)
    assert found.pop("time") == STAMP
    return found


CASES: list[tuple[events.HostEvent, dict[str, Any]]] = [
    (
        events.WorkerReady(1, 4711, 0.0841234567, ("fetch",), "uvloop", is_reload=False),
        {
            "level": "info",
            "event": "worker_ready",
            "worker": 1,
            "pid": 4711,
            "boot_s": 0.084123,
            "handlers": ["fetch"],
            "loop": "uvloop",
            "is_reload": False,
            "is_broken": False,
        },
    ),
    (
        FromWorker(2, samples.REQUEST),
        {
            "level": "info",
            "event": "request",
            "worker": 2,
            "request_id": "0192ab-17",
            "method": "GET",
            "path": "/customers?page=2",
            "status": 200,
            "duration_s": 0.0051,
            "outcome": "ok",
        },
    ),
    (
        FromWorker(2, samples.FAILED),
        {
            "level": "error",
            "event": "handler_failed",
            "worker": 2,
            "where": "fetch",
            "request_id": "0192ab-17",
            "subject": "GET /customers",
            "error": {"type": "LookupError", "message": "no customer 7", "traceback": samples.TRACEBACK},
        },
    ),
    (
        FromWorker(2, samples.LOG),
        {
            "level": "warning",
            "event": "log",
            "worker": 2,
            "message": "low on stock\nreally",
            "request_id": "0192ab-17",
            "logger": "shop",
        },
    ),
    (
        events.ConfigRejected(ValueError("no such key")),
        {"level": "error", "event": "config_rejected", "error": "no such key"},
    ),
    (
        events.Enclosed("auto", ("user",), (("cgroup", "not writable", "no bounds"),)),
        {
            "level": "info",
            "event": "isolation",
            "isolation": "auto",
            "in_force": ["user"],
            "missing": [{"layer": "cgroup", "reason": "not writable", "lost": "no bounds"}],
        },
    ),
    (events.CronDue("* * * * *", None), {"level": "warning", "event": "cron_due", "cron": "* * * * *"}),
]


@pytest.mark.parametrize(("event", "expected"), CASES, ids=lambda case: type(case).__name__)
def test_an_event_is_an_object(event: events.HostEvent, expected: dict[str, Any]) -> None:
    assert shown(event) == expected


@pytest.mark.parametrize("event", samples.ALL, ids=lambda event: type(getattr(event, "message", event)).__name__)
def test_every_event_is_one_line_with_the_same_head(event: events.HostEvent) -> None:
    line = json_line(event, NOW)
    assert line is not None
    assert "\n" not in line
    assert list(json.loads(line))[:3] == ["time", "level", "event"]


def test_what_concerns_only_host_and_worker_is_left_out() -> None:
    assert json_object(FromWorker(1, HandOver()), NOW) is None
    assert json_line(FromWorker(1, HandOver()), NOW) is None


def test_the_time_is_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert (json_object(events.Stopped(0), there) or {})["time"] == STAMP


def test_a_new_configuration_shows_no_secret() -> None:
    config = WorkerConfig(
        name="n", main="m", module_root="r", project_dir="p", secrets={"KEY": "hush"}, vars={"V": "hush"}
    )
    assert shown(events.ConfigReloaded(config)) == {"level": "info", "event": "config_reloaded"}
