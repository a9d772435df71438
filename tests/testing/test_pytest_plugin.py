"""The fixture ``worker``, in projects of its own, each with a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.testing.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 50.0

SOURCE = """
    import asyncio
    from workers import Response, WorkerEntrypoint

    count = 0

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            global count
            count += 1
            if request.path == "/late":
                self.ctx.wait_until(self.late())
            if request.path == "/bad":
                raise ValueError("a bad day")
            return Response(f"{self.env.GREETING} {count}")

        async def late(self):
            await asyncio.sleep(0)
            raise OSError("too late")
"""
SETTINGS = """
    [vars]
    GREETING = "hello"
    [env.staging.vars]
    GREETING = "staged"
"""
TWO_TESTS = """
def test_one(worker):
    print(worker.fetch("/").text)

def test_two(worker):
    print(worker.http.get("/").text)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without tests."""
    return write_project(tmp_path / "project", SOURCE, SETTINGS)


def run_pytest(project: Path, tests: str, *options: str, conftest: str = "", settings: str = "") -> str:
    """Write the tests and the settings, run pytest in the project, and return what it printed."""
    (project / "test_it.py").write_text(tests, encoding="utf-8")
    (project / "conftest.py").write_text(conftest, encoding="utf-8")
    (project / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{settings}", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "-rA", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return done.stdout + done.stderr


def printed(output: str) -> list[str]:
    """Return the lines that the tests printed."""
    return re.findall(r"^(?:hello|staged|moin) \d+$", output, re.MULTILINE)


def test_one_worker_serves_all_tests(project: Path) -> None:
    output = run_pytest(project, TWO_TESTS)
    assert "2 passed" in output
    assert printed(output) == ["hello 1", "hello 2"]


def test_each_test_can_have_a_worker_of_its_own(project: Path) -> None:
    output = run_pytest(project, TWO_TESTS, settings="longshore_scope = function\n")
    assert "2 passed" in output
    assert printed(output) == ["hello 1", "hello 1"]


def test_an_unknown_scope_is_said(project: Path) -> None:
    output = run_pytest(project, TWO_TESTS, settings="longshore_scope = galaxy\n")
    assert "longshore_scope = 'galaxy' is none of session, package, module, class, function" in output


def test_the_project_can_give_bindings(project: Path) -> None:
    conftest = """
import pytest

@pytest.fixture(scope="session")
def worker_bindings():
    return {"GREETING": "moin"}
"""
    output = run_pytest(project, TWO_TESTS, conftest=conftest)
    assert printed(output) == ["moin 1", "moin 2"]


def test_configuration_and_environment_can_be_chosen(project: Path) -> None:
    settings = "longshore_config = other/longshore.toml\nlongshore_environment = staging\n"
    write_project(project / "other", SOURCE, SETTINGS)
    (project / "longshore.toml").unlink()
    assert printed(run_pytest(project, TWO_TESTS, settings=settings)) == ["staged 1", "staged 2"]


def test_tests_can_import_workers(project: Path) -> None:
    tests = "from workers import Response\n\ndef test_it():\n    assert Response('x').status == 200\n"
    assert "1 passed" in run_pytest(project, tests, conftest="import workers\n")


def test_a_failing_handler_fails_the_test_in_the_users_code(project: Path) -> None:
    output = run_pytest(project, 'def test_it(worker):\n    worker.fetch("/bad")\n')
    assert 'raise ValueError("a bad day")' in output
    assert re.search(r"^src/entry\.py:\d+: ValueError$", output, re.MULTILINE)
    assert "_loop_thread.py" not in output


def test_a_failure_over_http_is_shown_beside_the_test(project: Path) -> None:
    output = run_pytest(project, 'def test_it(worker):\n    assert worker.http.get("/bad").status_code == 200\n')
    assert "--- worker (call) ---" in output
    assert "error: fetch failed in GET /bad\n" in output


def test_work_that_fails_after_the_answer_fails_its_test_and_no_other(project: Path) -> None:
    tests = """
def test_bad(worker):
    assert worker.fetch("/late").ok

def test_good(worker):
    assert worker.fetch("/").ok
    assert not worker.logs
"""
    output = run_pytest(project, tests)
    assert "ERROR test_it.py::test_bad - OSError: too late" in output
    assert "2 passed, 1 error" in output


def test_a_worker_that_cannot_boot_is_an_error_of_each_test(project: Path) -> None:
    (project / "src" / "entry.py").write_text("raise LookupError('not today')\n", encoding="utf-8")
    output = run_pytest(project, TWO_TESTS)
    assert output.count("LookupError: not today") >= 2
    assert "2 errors" in output


def test_it_costs_nothing_where_nobody_asks_for_it(tmp_path: Path) -> None:
    tests = """
import sys

def test_it():
    assert "longshore.testing.pytest_plugin" in sys.modules
    heavy = {"msgspec", "httpx", "uvicorn", "longshore.config.load", "longshore.workers", "longshore.compat"}
    assert not heavy & set(sys.modules)
"""
    assert "1 passed" in run_pytest(tmp_path, tests)
