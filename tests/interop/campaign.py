"""Runs of the matrix: two at a time, each group as soon as its server is there, while the next server starts."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.interop.matrix import GROUPS, Case, cases
from tests.interop.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server_process import Server

__all__ = ["CASES", "Results", "campaign", "target_of"]

WIDTH = 2

Results = dict[str, "Future[str]"]
"""What a client returned or raised, by the name of the case."""


def needs(case: Case) -> list[str]:
    """Return the system's programs that the client of a case is or wants."""
    if case.client.npm:
        return ["node", "npm"]
    return [case.client.program] if case.client.program else []


CASES = [pytest.param(case, id=case.name, marks=pytest.mark.needs(*needs(case))) for case in cases()]
"""For ``parametrize("case", …)``."""


@contextmanager
def campaign(request: pytest.FixtureRequest, run: Callable[[Case, Server], str]) -> Iterator[Results]:
    """Start what the tests of the requesting module will ask for, and yield what becomes of it.

    Args:
        request: of the fixture: it knows which tests are to come, and makes the servers.
        run: runs one case.
    """
    results: Results = {}
    with ThreadPoolExecutor(WIDTH) as threads:
        try:
            for group in GROUPS:
                if wanted := [case for case in wanted_cases(request) if case.group is group]:
                    results |= start_group(request, wanted, run, threads)
            yield results
        finally:
            threads.shutdown(cancel_futures=True)


def wanted_cases(request: pytest.FixtureRequest) -> list[Case]:
    """Return the cases of the tests that use the fixture."""
    tests = [item for item in request.session.items if request.fixturename in getattr(item, "fixturenames", ())]
    return [test.callspec.params["case"] for test in tests if hasattr(test, "callspec")]


def start_group(
    request: pytest.FixtureRequest,
    wanted: list[Case],
    run: Callable[[Case, Server], str],
    threads: ThreadPoolExecutor,
) -> Results:
    """Start a server and the runs that want it; a server that is missing is what the runs then end with."""
    try:
        server = request.getfixturevalue(wanted[0].group.server)
    except (pytest.skip.Exception, pytest.fail.Exception) as exc:
        return {case.name: ended_with(exc) for case in wanted}
    return {case.name: threads.submit(run, case, server) for case in wanted}


def ended_with(error: BaseException) -> Future[str]:
    """Return a run that never began."""
    future: Future[str] = Future()
    future.set_exception(error)
    return future


def target_of(case: Case, server: Server, host: str, ca_pem: str, **facts: str) -> Target:
    """Return where the client of a case connects.

    Args:
        case: the run.
        server: of its group.
        host: the name or address under which the client finds the server.
        ca_pem: the authority.
        **facts: what is to be known besides what the server says.
    """
    port = server.tls_port if case.mode == "tls" and server.tls_port is not None else server.port
    known = {**server.facts, **facts}
    if case.mode == "plain" and "plain_port" in known:
        port = int(known["plain_port"])
    if case.mode == "plain" and "plain_user" in known:
        known["user"] = known["plain_user"]
    return Target(host, port, case.mode, ca_pem, known)
