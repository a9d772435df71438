"""The helper that starts real servers: how it ends them, and what it says when they do not start."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests import server_process
from tests.server_process import free_port, require_program, running, says, server_directory
from tools.devkit.system import PACKAGES, Package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "import signal; signal.pause()"
DEAF_SERVER = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


@pytest.fixture
def directory() -> Iterator[Path]:
    with server_directory("test", None) as path:
        yield path


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-c", program]


def assert_reaped(pid: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_process_is_ended_and_reaped_after_the_block(directory: Path) -> None:
    with running(python(SERVER), lambda: True, user=None, directory=directory) as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGTERM
    assert_reaped(process.pid)


def test_process_is_ended_when_the_block_fails(directory: Path) -> None:
    started = running(python(SERVER), lambda: True, user=None, directory=directory)
    with pytest.raises(ZeroDivisionError), started as process:
        raise ZeroDivisionError
    assert_reaped(process.pid)


def test_process_that_ignores_the_signal_is_killed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "STOP_LIMIT_S", 0.05)
    log = directory / "log"
    with running(python(DEAF_SERVER), lambda: log.read_text() == "deaf\n", user=None, directory=directory) as process:
        pass
    assert process.returncode == -signal.SIGKILL
    assert_reaped(process.pid)


def test_start_that_fails_shows_what_was_written(directory: Path) -> None:
    failing = python("print('no licence'); raise SystemExit(3)")
    wanted = r"ended with 3; it wrote:\nno licence"
    with (
        pytest.raises(pytest.fail.Exception, match=wanted),
        running(failing, lambda: False, user=None, directory=directory),
    ):
        pytest.fail("the block was entered")


def test_start_that_takes_too_long_is_given_up(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "START_LIMIT_S", 0.0)
    with (
        pytest.raises(pytest.fail.Exception, match="not ready in time"),
        running(python(SERVER), lambda: False, user=None, directory=directory),
    ):
        pytest.fail("the block was entered")


def test_directory_is_removed() -> None:
    with server_directory("test", None) as path:
        (path / "file").write_text("x")
    assert not path.exists()


def test_port_that_nobody_serves_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        says(free_port(), b"hello")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)], ids=["skip", "fail"]
)
def test_missing_program_names_its_package(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setitem(PACKAGES, "gopherd", Package("gopher-server", ("no-such-program",)))
    with pytest.raises(outcome, match=r"not installed: gopherd \(apt-get install gopher-server\)"):
        require_program("gopherd")
