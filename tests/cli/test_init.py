"""``longshore init``: every template becomes a project that runs and whose own tests pass."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import httpx
import pytest

from longshore.cli.main import run
from longshore.cli.template import TEMPLATES, project_files
from tests.cli.launched import environment, launched

if TYPE_CHECKING:
    from pathlib import Path


def made(tmp_path: Path, template: str) -> Path:
    """Make a project and return its folder."""
    assert run(["init", f"my-{template}", "--template", template, "--cwd", str(tmp_path)]) == 0
    return tmp_path / f"my-{template}"


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_projects_own_tests_pass(template: str, tmp_path: Path) -> None:
    project = made(tmp_path, template)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
    assert "warning" not in done.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_project_runs_and_ends_in_order(template: str, tmp_path: Path) -> None:
    project = made(tmp_path, template)
    with launched("dev", "--port", "0", cwd=project) as running:
        url = running.wait_for(r"Ready on (http://\S+)")[1]
        with httpx.Client(trust_env=False, timeout=30.0) as client:
            # Nobody is there for those who need a server: then the answer is an error of the driver's, over HTTP.
            assert client.get(f"{url}/healthz-of-the-test").status_code in {200, 404, 405, 500}
        running.wait_for("GET /healthz-of-the-test")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert "ModuleNotFoundError" not in running.text


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_files_are_complete_and_filled_in(template: str) -> None:
    files = project_files(TEMPLATES[template], "my-worker")
    assert {
        ".dev.vars.example",
        ".gitignore",
        "README.md",
        "longshore.toml",
        "pyproject.toml",
        "src/entry.py",
        "tests/test_worker.py",
        "typings/workers/__init__.pyi",
    } <= set(files)
    for path, text in files.items():
        assert "{{" not in text, path
        assert text.endswith("\n"), path
        if path.endswith((".py", ".pyi")):
            ast.parse(text, path)
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["name"] == "my-worker"
    assert "longshore[workers]" in project["project"]["dependencies"]
    assert tomllib.loads(files["longshore.toml"])["name"] == "my-worker"
    assert len(files["src/entry.py"].splitlines()) <= 45


def test_a_project_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "postgres")
    said = capsys.readouterr().out
    assert "cd my-postgres" in said
    assert "pip install 'asyncpg" in said
    assert "longshore dev" in said
    assert "'pytest>=" in said


def test_the_list_has_a_line_for_each_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(TEMPLATES)
    assert all(len(line.split()) > 3 for line in lines)


def test_a_plain_project_needs_pytest_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "hello")
    lines = capsys.readouterr().out.splitlines()
    assert "  pip install 'pytest>=8.4'" in lines
    assert all(line == line.rstrip() for line in lines)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for name in ("file/shop", "no/" + "x" * 300 + "/shop"):
        assert run(["init", name, "-y", "--cwd", str(tmp_path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: cannot make ")
        assert "Choose another folder." in said


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("data")
    assert run(["init", "full", "--cwd", str(tmp_path)]) == 1
    assert "the folder full is not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["precious"]


def test_a_file_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("data")
    assert run(["init", "file", "--cwd", str(tmp_path)]) == 1
    assert "file is a file" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "data"


def test_a_fresh_repository_counts_as_empty_and_may_be_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = tmp_path / "here"
    (here / ".git").mkdir(parents=True)
    assert run(["init", ".", "-y", "--cwd", str(here)]) == 0
    assert tomllib.loads((here / "longshore.toml").read_text())["name"] == "here"
    assert "cd " not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["-x", "x-", "a b", "ü", "x" * 64, "a.b"])
def test_names_that_no_worker_can_have(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--cwd", str(tmp_path), "--", name]) == 64
    assert "no worker name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
