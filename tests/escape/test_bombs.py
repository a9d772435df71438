"""Limits are reached, and nobody else notices: the host and a second worker keep serving."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.egress.linux import needs_sandbox
from tests.escape.prison import Canary, Prison, prison

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

pytestmark = [needs_sandbox, pytest.mark.timeout(120)]

PROCESSES, OPEN_FILES, OPEN_SOCKETS = 64, 256, 20
MEMORY_BYTES = 512 << 20


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prison]:
    bounds = f"processes = {PROCESSES}\nopen_files = {OPEN_FILES}\nmemory_bytes = {MEMORY_BYTES}"
    rules = f"[network.limits]\nopen_sockets = {OPEN_SOCKETS}\nqueue_timeout_s = 0.2"
    with prison(tmp_path_factory.mktemp("prison"), ["local"], workers=2, sandbox=bounds, network=rules) as running:
        running.client.headers["connection"] = "close"
        yield running


@contextlib.contextmanager
def others_are_served(host: Prison) -> Iterator[None]:
    """Check that both workers serve afterwards, and that the host's processes are those that there were."""
    before = own_processes(host)
    yield
    marks: set[str] = set()
    while len(marks) < 2:
        marks.add(host.attempt_in_time("mark"))
    assert own_processes(host) == before


def own_processes(host: Prison) -> set[int]:
    """The zygote and the egress process."""
    return {each.pid for each in host.family() if "longshore" in " ".join(each.cmdline()) and each.ppid() == host.pid}


def test_a_fork_bomb(host: Prison) -> None:
    with others_are_served(host):
        found: dict[str, Any] = host.attempt("fork_bomb", most=10 * PROCESSES)
    assert found["refusal"] == "EAGAIN"
    assert found["count"] < PROCESSES


def test_a_memory_bomb(host: Prison) -> None:
    with others_are_served(host):
        try:
            assert host.attempt("memory_bomb", most=64) == "MemoryError"
        except httpx.RemoteProtocolError:  # with a control group of memory, the kernel ends it
            host.running.wait_for('"event":"worker_exited".*"code":-9')


def test_the_machines_memory_is_taken_from_workers_first(host: Prison) -> None:
    path = "/proc/self/oom_score_adj"
    assert host.attempt("read_files", paths=[path]) == {path: "500\n"}
    assert host.attempt("write_files", paths=[path]) == ["EROFS"]


def test_a_descriptor_bomb(host: Prison) -> None:
    with others_are_served(host):
        found: dict[str, Any] = host.attempt("descriptor_bomb", most=100 * OPEN_FILES)
    assert found["refusal"] == "EMFILE"
    assert found["count"] < OPEN_FILES
    assert found["hidden"] in ("EMFILE", "ETOOMANYREFS")


def test_a_bomb_of_connections(host: Prison) -> None:
    server = Canary()
    try:
        with others_are_served(host):
            found: dict[str, Any] = host.attempt("connection_bomb", port=server.port, most=10 * OPEN_SOCKETS)
        assert found == {"count": OPEN_SOCKETS, "refusal": "EMFILE"}
        host.audited(event="limit", outcome="open_sockets")
    finally:
        server.close()
