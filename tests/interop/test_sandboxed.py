"""The clients, unmodified, in a worker that is shut in: none of them knows of it.

`longshore serve` runs one worker in everything that there is of isolation. The servers are outside, under a name that
only the worker's rules know. `python -m tests.interop report` writes `docs/drivers.md` from these runs.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.certificates import HARBOUR
from tests.interop.campaign import CASES, Results, campaign, target_of
from tests.interop.target import Target
from tests.server_process import HOST, Server, free_port, running, says, server_directory
from tests.system import is_ci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.matrix import Case

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FOLDER = Path(__file__).parent
LIMIT_S = 90.0
SHOWN = 3000

DENIED_PORT = 39
"""Where nothing listens, and where `fetch` of Node.js may go."""
DENIED_NAME = "shoal.longshore.example"

CONFIGURATION = f"""
name = "interop"
main = "entry.py"
isolation = "required"

[network]
allow = ["local"]
deny = ["{HARBOUR}:{DENIED_PORT}", "{DENIED_NAME}"]
hosts = {{ "{HARBOUR}" = ["{HOST}"], "{DENIED_NAME}" = ["{HOST}"] }}
"""


def write_project(folder: Path, static_client: Path) -> None:
    """Make a worker's project: the clients with their packages for Node.js, and what runs them."""
    shutil.copytree(FOLDER, folder / "tests" / "interop", ignore=shutil.ignore_patterns("__pycache__", "fix_*"))
    (folder / "tests" / "__init__.py").touch()
    shutil.copy(FOLDER / "entry.py", folder)
    if static_client.exists():
        shutil.copy(static_client, folder)
    (folder / "longshore.toml").write_text(CONFIGURATION, encoding="ascii")


def demand_layers() -> None:
    """Skip where this system cannot shut a worker in; in CI, it has to."""
    if sys.platform != "linux":
        pytest.skip("the sandbox is Linux's")
    from longshore.sandbox.probe import probe_layers  # noqa: PLC0415 - of Linux only

    if (lacking := probe_layers().lacking()) and not is_ci():
        pytest.skip(f"this system lacks {', '.join(layer.name for layer in lacking)}")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run the project and yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "longshore", "serve", "--port", port, "--config", folder / "longshore.toml"]
    is_ready = partial(says, port, b"HTTP/1.1 ", after=b"GET / HTTP/1.0\r\n\r\n")
    with server_directory("interop", None) as log, running(command, is_ready, user=None, directory=log):
        yield f"http://{HOST}:{port}"


@pytest.fixture(scope="module")
def project(
    static_client: Path,
    node_packages: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of the worker."""
    folder = tmp_path_factory.mktemp("interop")
    write_project(folder, static_client)
    return folder


@pytest.fixture(scope="module")
def worker(project: Path) -> Iterator[str]:
    """Its URL."""
    demand_layers()
    with serving(project) as url:
        yield url


def ask(url: str, case: Case, target: Target) -> httpx.Response:
    """Have the worker run a client."""
    job = {
        "module": case.client.module,
        "loop": case.loop,
        "is_own_process": case.client.is_own_process,
        "target": asdict(target),
    }
    return httpx.post(url, content=json.dumps(job), timeout=LIMIT_S)


@pytest.fixture(scope="module")
def sandboxed(
    request: pytest.FixtureRequest, worker: str, project: Path, static_client: Path, ca_file: Path
) -> Iterator[Results]:
    """The runs."""
    ca_pem = ca_file.read_text(encoding="ascii")
    program = str(project / static_client.name)

    def run(case: Case, server: Server) -> str:
        response = ask(worker, case, target_of(case, server, HARBOUR, ca_pem, static_client=program))
        assert response.status_code == 200, f"{case.name}:\n{response.text[-SHOWN:]}"
        return response.text

    with campaign(request, run) as results:
        yield results


def test_worker_is_shut_in(worker: str) -> None:
    """Otherwise the rest of this file would show nothing."""
    assert httpx.get(worker).json() == {"interfaces": ["lo"], "seccomp": "2"}


@pytest.mark.parametrize("case", CASES)
def test_client_works_in_a_sandboxed_worker(case: Case, sandboxed: Results) -> None:
    """It connects, and the answer is right."""
    assert sandboxed[case.name].result().strip()


DENIED = [
    "http_aiohttp-asyncio-plain",
    "http_aiohttp-uvloop-plain",
    "http_aiohttp_aiodns-uvloop-plain",
    "http_go-plain",
    "http_node-plain",
    "http_requests-plain",
    "http_static_c-plain",
    "http_urllib-plain",
    "postgres_asyncpg-uvloop-plain",
    "postgres_psycopg-plain",
    "postgres_psycopg_async-asyncio-plain",
]
"""One of each way to connect that tells an errno."""

denied_cases = pytest.mark.parametrize("case", [each for each in CASES if each.id in DENIED])


@denied_cases
def test_client_hears_that_a_destination_is_denied(case: Case, worker: str, project: Path, static_client: Path) -> None:
    """As a lack of permission: nothing listens there, and a client that came so far would say that."""
    target = Target(HARBOUR, DENIED_PORT, facts={"static_client": str(project / static_client.name)})
    response = ask(worker, case, target)
    assert response.status_code == 500
    assert re.search(r"permission denied|EACCES|Errno 13", response.text, re.IGNORECASE), response.text[-SHOWN:]


@denied_cases
def test_client_hears_at_once_that_a_name_is_denied(
    case: Case, worker: str, project: Path, static_client: Path
) -> None:
    """As a name that cannot be resolved; nobody outside is asked."""
    target = Target(DENIED_NAME, DENIED_PORT, facts={"static_client": str(project / static_client.name)})
    response = ask(worker, case, target)
    assert response.status_code == 500
    assert "TimeoutExpired" not in response.text
