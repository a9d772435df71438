"""Every worker of the documentation runs, and answers what its page says; every test of a worker passes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from longshore import DirectDialer, EgressPolicy, set_default_dialer
from longshore.net.tls_context import _cached_context
from longshore.testing import RoutedDialer
from longshore.testing.worker import run_worker
from tests.docs.projects import Call, calls_of, write_project
from tests.docs.snippets import Block, matches, project_tests, worker_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Bindings = Callable[[str], dict[str, Any]]


@pytest.fixture
def _trust(docs_files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(docs_files / "ca.pem"))
    _cached_context.cache_clear()
    yield
    _cached_context.cache_clear()


@pytest.mark.usefixtures("_trust")
@pytest.mark.parametrize("block", worker_examples(), ids=lambda block: block.id)
def test_worker_answers(
    block: Block, loop_name: str, tmp_path: Path, bindings_for: Bindings, docs_network: dict[str, str]
) -> None:
    project = write_project(tmp_path, block.config, block.code)
    calls = calls_of(block.session) or [Call("/", None, None, block.output or "")]
    with run_worker(project, bindings=bindings_for(block.code), loop=loop_name) as worker:
        # The names of the pages lead to the loopback, whatever the worker's rules say.
        direct = DirectDialer(policy=EgressPolicy(allow=["local"]))
        former = set_default_dialer(RoutedDialer(docs_network, direct, pass_through=True))
        try:
            for call in calls:
                response = worker.fetch(call.path, method=call.method, body=call.body)
                assert response.status < 400, response.text
                assert not call.answer or matches(call.answer, response.text), (
                    f"{block.id} answered {call.path} with\n{response.text}\nbut the page says\n{call.answer}"
                )
        finally:
            set_default_dialer(former)


@pytest.mark.parametrize("block", project_tests(), ids=lambda block: block.id)
def test_test_passes(block: Block, tmp_path: Path) -> None:
    project = write_project(tmp_path, block.config, block.worker)
    (project / "tests").mkdir()
    (project / "tests" / "test_worker.py").write_text(block.code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, capture_output=True, encoding="utf-8", check=False, timeout=50)
    assert done.returncode == 0, done.stdout
