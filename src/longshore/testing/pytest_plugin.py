"""The pytest plugin that brings the fixture ``worker``; loaded by pytest in every project that installs Longshore.

So it imports nothing that pytest has not imported, until somebody asks for the fixture. In a project without a
configuration of a worker it does nothing at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from longshore.testing.worker import Worker

__all__ = ["worker", "worker_bindings"]

# As in longshore.config.load, which must not be imported here.
CONFIG_FILES = ("longshore.toml", "wrangler.toml", "wrangler.jsonc", "wrangler.json")
SCOPES = ("session", "package", "module", "class", "function")
RUNNING = "_longshore_running_worker"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings of ``[tool.pytest.ini_options]``."""
    parser.addini("longshore_config", "worker: the configuration file or its folder, from the rootdir")
    parser.addini("longshore_environment", "worker: the env.<name> section to use")
    parser.addini("longshore_scope", f"worker: how long one lives: {', '.join(SCOPES)}", default="session")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Let ``from workers import Response`` work in tests and conftest files of a worker's project."""
    folder = project(early_config)
    if folder.is_file() or any((folder / name).is_file() for name in CONFIG_FILES):
        from longshore.compat.install import install  # noqa: PLC0415 - see above

        install()


def project(config: pytest.Config) -> Path:
    """Return the folder of the worker's project or its configuration file."""
    return config.rootpath / str(config.getini("longshore_config") or "")


def chosen_scope(fixture_name: str, config: pytest.Config) -> Any:
    """Return the scope of the worker behind the fixture."""
    scope = str(config.getini("longshore_scope"))
    if scope not in SCOPES:
        raise pytest.UsageError(f"longshore_scope = {scope!r} is none of {', '.join(SCOPES)}")
    return scope


@pytest.fixture(scope=chosen_scope)
def worker_bindings() -> dict[str, Any]:
    """Override this in ``conftest.py`` to give the worker variables, secrets and databases of the tests.

    A database is given by its connection string: ``return {"DB": "postgres://…", "API_KEY": "test"}``.
    """
    return {}


@pytest.fixture(scope=chosen_scope, name=RUNNING)
def running_worker(pytestconfig: pytest.Config, worker_bindings: dict[str, Any]) -> Iterator[Worker]:
    """The worker, for as long as ``longshore_scope`` says."""
    __tracebackhide__ = True
    try:
        from longshore.testing.worker import run_worker  # noqa: PLC0415 - see above
    except ImportError as exc:
        raise pytest.UsageError(f"the fixture worker needs pip install 'longshore[workers]': {exc}") from exc
    environment = str(pytestconfig.getini("longshore_environment") or "") or None
    with run_worker(project(pytestconfig), environment=environment, bindings=worker_bindings) as running:
        yield running


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """The worker of this project: ``worker.fetch("/")``, ``worker.http.get("/")``, ``worker.scheduled()``.

    See ``longshore.testing.worker.Worker``. When a test ends, the fixture waits for what was given to
    ``wait_until()`` and raises what failed.
    """
    __tracebackhide__ = True
    running: Worker = request.getfixturevalue(RUNNING)
    running._forget()
    yield running
    running._settle()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the worker said beside the failure of a test that uses one; its ``logging`` is shown by pytest."""
    report = yield
    running = getattr(item, "funcargs", {}).get("worker")
    lines = (
        [str(line) for line in getattr(running, "logs", ()) if not getattr(line, "logger", "")] if report.failed else []
    )
    if lines:
        report.sections.append((f"worker ({report.when})", "\n".join(lines)))
    return report
