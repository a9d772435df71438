"""The clients as they are on a plain machine: what fails here is the client, its server or the test.

Each runs in a process of its own, against real servers, and has 127.0.0.1 for an address.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.campaign import CASES, Results, campaign, target_of
from tests.server_process import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.matrix import Case

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
SHOWN = 2000


@pytest.fixture(scope="module")
def outside(
    request: pytest.FixtureRequest,
    ca_file: Path,
    static_client: Path,
    node_packages: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Results]:
    """The runs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path_factory.mktemp("clients"))}
    ca_pem = ca_file.read_text(encoding="ascii")

    def run(case: Case, server: Server) -> str:
        target = target_of(case, server, HOST, ca_pem, static_client=str(static_client))
        command = [sys.executable, "-P", "-m", "tests.interop.run", case.client.module, case.loop]
        done = subprocess.run(
            command,
            input=target.to_json(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, f"{case.name} ended with {done.returncode}:\n{done.stderr[-SHOWN:]}"
        return done.stdout

    with campaign(request, run) as results:
        yield results


@pytest.mark.parametrize("case", CASES)
def test_client_works_outside(case: Case, outside: Results) -> None:
    """It connects, and the answer is right."""
    assert outside[case.name].result().strip()
