"""Tests of the command line itself: help, exit codes, and what a person sees of a failure."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from longshore.cli import main as main_module
from longshore.cli.main import run
from tests.cli.launched import environment, run_longshore

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("init", "dev", "serve", "check", "demo", "cert", "secret")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that breaks no line."""
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_shows_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert all(f" {name} " in text for name in COMMANDS)
    assert "longshore init my-worker" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    _, found, shown = text.partition("Examples:")
    assert found
    assert shown.count(f"longshore {name}") >= 2


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_shows_no_type_of_a_flag_and_no_doubled_brackets(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"] if name else ["--help"]) == 0
    text = capsys.readouterr().out
    assert "<bool>" not in text
    assert "BOOLEAN" not in text
    assert "[default: (" not in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"longshore {version('longshore')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dve"], "Did you mean 'dev'?"),
        (["dev", "--prot", "1"], "--port"),
        (["dev", "--port", "x"], "--port"),
        (["dev", "--port", "65536"], "65535"),
        (["dev", "--var", "novalue"], "'novalue' is not NAME:VALUE"),
        (["dev", "--var", "name:\udcff"], "is not NAME:VALUE"),
        (["serve", "--log", "xml"], "'xml' is neither json nor text"),
        (["serve", "--log-level", "loud"], "'loud' is none of debug, info, warning, error"),
        (["serve", "--workers", "0"], "--workers"),
        (["init"], "longshore init NAME"),
        (["init", "a/b c"], "'b c' is no worker name"),
        (["init", "x", "--template", "cobol"], "no template 'cobol'"),
        (["check", "--cwd", "/does/not/exist"], "no folder '/does/not/exist'"),
        (["check", "--cwd", "x" * 300], "cannot read the folder"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_wrong_command_line_ends_with_64(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 64
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("command", ["dev", "serve", "check"])
def test_a_wrong_configuration_ends_with_78_and_its_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "longshore.toml").write_text('name = "shop"\nmian = "entry.py"\n')
    assert run([command, "--cwd", str(tmp_path)]) == 78
    said = capsys.readouterr().err
    assert "longshore.toml:2" in said
    assert "did you mean 'main'?" in said


def test_options_may_stand_before_and_behind_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "entry.py").touch()
    (tmp_path / "longshore.toml").write_text('name = "shop"\nmain = "entry.py"\n[env.eu]\nname = "laden"\n')
    for arguments in (["-c", str(tmp_path), "-e", "eu", "check"], ["check", "-c", str(tmp_path), "-e", "eu"]):
        assert run(arguments) == 0
        assert "laden" in capsys.readouterr().out


def test_check_shows_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "entry.py").touch()
    (tmp_path / "longshore.toml").write_text('name = "shop"\nmain = "entry.py"\n')
    (tmp_path / ".dev.vars").write_text("TOKEN=hush\n")
    for form in ([], ["--json"]):
        assert run(["check", "--dev", "--cwd", str(tmp_path), *form]) == 0
        shown = capsys.readouterr().out
        assert "TOKEN" in shown
        assert "hush" not in shown


def test_a_missing_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "longshore.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert run(["--help"]) == 1
    said = capsys.readouterr().err
    assert said == "longshore: the command line needs the package 'typer': pip install \"longshore[workers]\"\n"


def test_a_defect_of_ours_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arguments: object) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(main_module, "_typed", broken)
    monkeypatch.delenv("LONGSHORE_DEBUG", raising=False)
    assert run([]) == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    assert "report" in said
    assert "Traceback" not in said
    monkeypatch.setenv("LONGSHORE_DEBUG", "1")
    assert run([]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_no_defect_of_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/log/shop")

    monkeypatch.setattr(main_module, "_typed", full)
    assert run([]) == 1
    assert capsys.readouterr().err == "longshore: '/var/log/shop': No space left on device\n"


def test_a_limit_of_threads_is_no_defect_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(main_module, "_typed", exhausted)
    assert run([]) == 1
    assert capsys.readouterr().err == "longshore: can't start new thread\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("serve entry.py", 3), ("dev entry.py --ip 203.0.113.1", 78)])
def test_closed_streams_change_nothing(words: str, code: int, closed: str, tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text('print("begun")\nraise LookupError\n')
    script = f'exec "$0" -m longshore {words} --port 0 {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, b"")


def test_ctrl_c_prints_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_typed", interrupted)
    assert run([]) == 130
    assert capsys.readouterr() == ("", "")


def test_the_module_is_the_command() -> None:
    done = run_longshore("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"longshore {version('longshore')}\n", "")


def test_no_colours_without_a_terminal() -> None:
    assert "\x1b" not in run_longshore("--help").stdout


def test_completion_can_be_installed() -> None:
    # Which shell it is for is otherwise found out from the processes above, and there may be no shell among them.
    done = run_longshore("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0
    assert "_longshore_completion" in done.stdout or "complete" in done.stdout
