"""A thousand system calls that wait for slow servers hold up no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.egress.linux import needs_sandbox
from tests.escape.prison import Canary, prison
from tests.escape.test_killed import full_listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [needs_sandbox, pytest.mark.timeout(120), pytest.mark.slow]

WORKERS, WAITING, QUICK = 4, 1_000, 100


def test_a_thousand_that_wait_delay_nobody(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Order is the verdict: all quick ones are through while every one of the thousand still waits."""
    listener, fillers = full_listener()
    server = Canary()
    bounds = "processes = 1200"
    try:
        with prison(tmp_path, ["local"], workers=WORKERS, sandbox=bounds) as host:
            host.client.headers["connection"] = "close"
            alone = host.attempt("quick_ones", port=server.port, times=QUICK)
            waiting: dict[str, int] = {}
            while sum(waiting.values()) < WAITING:  # in whichever worker takes the request
                mark, count = host.attempt("wait_in_vain", port=listener.getsockname()[1], times=WAITING // WORKERS)
                waiting[mark] = count
            found: dict[str, Any] = host.attempt("quick_ones", port=server.port, times=QUICK)
            seen: dict[str, int] = {}
            while waiting.keys() - seen.keys():
                mark, count = host.attempt("still_waiting")
                seen[mark] = count
            assert {mark: seen[mark] for mark in waiting} == waiting
            record_property(
                "connect_ms", json.dumps({"alone": alone, "among": found, "spread": list(waiting.values())})
            )
    finally:
        server.close()
        for each in [listener, *fillers]:
            each.close()
