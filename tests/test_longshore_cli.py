"""Tests of the console script: Ctrl-C at any time, and what it leaves alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from longshore_cli import main

SCRIPT = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, {handler})
sys.argv = ["longshore", "--version"]
from longshore_cli import main
main()
"""


def interrupted_while_importing(name: str, handler: str = "signal.default_int_handler") -> tuple[int, str]:
    script = SCRIPT.format(name=name, handler=handler)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "" or done.returncode == 0
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", ["longshore", "asyncio", "longshore.cli.main"])
def test_ctrl_c_while_the_package_is_imported_prints_nothing(name: str) -> None:
    assert interrupted_while_importing(name) == (-signal.SIGINT, "")


@pytest.mark.parametrize("name", ["longshore.cli.app", "typer"])
def test_ctrl_c_while_the_commands_are_imported_prints_nothing(name: str) -> None:
    assert interrupted_while_importing(name) == (130, "")


def test_who_was_started_without_ctrl_c_stays_without() -> None:
    assert interrupted_while_importing("longshore", handler="signal.SIG_IGN") == (0, "")


def test_ctrl_c_at_the_very_end_prints_nothing() -> None:
    script = (
        "import longshore_cli, longshore.cli.main\n"
        "def interrupted():\n    raise KeyboardInterrupt\n"
        "longshore.cli.main.main = interrupted\n"
        "longshore_cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_python_m_prints_nothing_either() -> None:
    script = SCRIPT.format(name="longshore.cli.main", handler="signal.default_int_handler").partition("from longshore")[
        0
    ]
    script += "import runpy, longshore.cli\nrunpy.run_module('longshore', run_name='__main__')\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_script_is_this_module_and_the_wheel_has_it() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"longshore": f"{main.__module__}:{main.__name__}"}
    assert f"src/{main.__module__}.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
