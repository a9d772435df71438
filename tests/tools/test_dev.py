"""Tests of ``./dev`` and of what stands behind it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tools.devkit import cli, system, venv
from tools.devkit.console import ROOT, Failure

if TYPE_CHECKING:
    from pathlib import Path

DEV = ROOT / "dev"


def run_dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``./dev`` as a person would, from somewhere else."""
    return subprocess.run(
        [sys.executable, DEV, *arguments], cwd="/", capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(arguments: list[str]) -> None:
    done = run_dev(*arguments)
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = run_dev(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: ./dev {name}")


def test_a_misspelled_command_is_a_usage_error_that_names_the_nearest() -> None:
    done = run_dev("tset")
    assert done.returncode == cli.USAGE_ERROR
    assert "no command 'tset'; did you mean 'test'?" in done.stderr


def test_an_argument_nobody_takes_is_refused() -> None:
    done = run_dev("lock", "--please")
    assert done.returncode == 1
    assert "unexpected argument '--please'" in done.stderr


def test_an_old_python_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    pretend = "import sys\nsys.version_info = (3, 10, 2)\nsys.argv = ['dev', 'test']\n"
    script.write_text(f"{pretend}exec(open({str(DEV)!r}).read())\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is Python 3.10" in done.stderr


def test_a_folder_that_is_no_environment_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(Failure, match="is not a virtual environment"):
        venv.install(tmp_path, tmp_path / "bin" / "python", fresh=True)
    assert (tmp_path / "precious").read_text() == "data"


def test_the_lock_pins_and_hashes_everything_and_names_no_index() -> None:
    text = venv.LOCK_FILE.read_text()
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert entries
    assert all("==" in entry and entry.endswith("\\") for entry in entries)
    assert "://" not in text
    assert "--index" not in text


def test_a_program_off_the_path_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = [tmp_path / version / "bin" for version in ("15", "17")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "serverd").touch(mode=0o755)
    package = system.Package("server", ("serverd-new", "serverd"), f"{str(tmp_path).lstrip('/')}/*/bin")
    monkeypatch.setitem(system.PACKAGES, "server", package)
    assert system.find_program("server") == str(folders[1] / "serverd")


def test_a_package_without_a_program_is_found_by_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = system.Package("binding", (), files=f"{str(tmp_path).lstrip('/')}/*/binding.py")
    monkeypatch.setitem(system.PACKAGES, "binding", package)
    assert system.find_program("binding") is None
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "binding.py").touch()
    assert system.find_program("binding") == str(tmp_path / "3" / "binding.py")


def test_a_missing_program_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = system.Package("no-such-package", ("no-such-program",), for_what="the proof")
    monkeypatch.setitem(system.PACKAGES, "server", package)
    monkeypatch.setattr(system, "can_install", lambda: False)
    cli.provide(["server"])
    said = capsys.readouterr().err
    assert "server is not installed; it is for the proof" in said
    assert "apt-get install --no-install-recommends no-such-package" in said


def test_no_service_starts_while_packages_are_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(system, "POLICY", policy)
    with system.no_service_starts():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_the_administrators_policy_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    monkeypatch.setattr(system, "POLICY", policy)
    with system.no_service_starts():
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert policy.exists()
