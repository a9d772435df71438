"""Makes and keeps ``.venv``: the locked requirements and the project itself, installed in place.

The lock is ``requirements.lock``: exact versions with hashes, for every Python and platform the project
supports, readable by pip and by uv. What was installed is remembered in a stamp, so that the next run starts
at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.devkit import system
from tools.devkit.console import ROOT, Failure, Finished, note, progress, run_quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Command = Sequence[str | Path]

__all__ = ["LOCK_FILE", "environment_of", "find_uv", "ready_python", "write_lock"]

LOCK_FILE = ROOT / "requirements.lock"
STAMP_NAME = "longshore.stamp"
OLDEST_PYTHON = (3, 11)
# The build backend is in the lock too: nothing is fetched that is not in it.
THIS_PROJECT = ("--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def folder() -> Path:
    """Return where the environment is: ``.venv``, or what ``LONGSHORE_VENV`` says (to test other Pythons)."""
    return ROOT / os.environ.get("LONGSHORE_VENV", ".venv")


def environment_of(python: Path) -> dict[str, str]:
    """Return the variables of the environment that this interpreter belongs to."""
    bin_folder = python.parent
    path = os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)])
    kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONHOME", "PYTHONPATH"}}
    # mkdocs-material advertises its successor on every start, in the midst of what people want to read.
    return {**kept, "VIRTUAL_ENV": str(bin_folder.parent), "PATH": path, "NO_MKDOCS_2_WARNING": "1"}


def ready_python() -> Path:
    """Return the interpreter of an environment that holds exactly what the lock says.

    Raises:
        Failure: it cannot be made.
    """
    target = folder()
    python = target / "bin" / "python"
    with one_at_a_time():
        usable = is_usable(python)
        if not (usable and stamp_of(target) == wanted_stamp()):
            install(target, python, fresh=not usable)
    return python


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep two ``./dev`` from installing into the same place."""
    with (ROOT / "pyproject.toml").open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_usable(python: Path) -> bool:
    """Return whether the interpreter starts and is new enough."""
    if not python.exists():
        return False
    answer = run_quietly([python, "-c", "import sys; print(*sys.version_info[:2])"])
    words = answer.last_line.split()
    return answer.code == 0 and tuple(int(word) for word in words if word.isdecimal()) >= OLDEST_PYTHON


def stamp_of(target: Path) -> str | None:
    """Return what was installed into the environment."""
    try:
        return (target / STAMP_NAME).read_text(encoding="ascii")
    except OSError:
        return None


def wanted_stamp() -> str:
    """Return a digest of all that decides what is installed; tool settings do not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project["project"], project["build-system"], project["tool"]["hatch"], str(ROOT)]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    digest.update(LOCK_FILE.read_bytes())
    return digest.hexdigest()


def find_uv() -> str | None:
    """Return the path of uv, or None."""
    return shutil.which("uv")


def install(target: Path, python: Path, *, fresh: bool) -> None:
    """Bring the environment in line with the lock."""
    if fresh and target.exists() and not (target / "pyvenv.cfg").exists() and any(target.iterdir()):
        raise Failure(f"{target} is not a virtual environment; move it away or set LONGSHORE_VENV")
    uv = find_uv()
    (target / STAMP_NAME).unlink(missing_ok=True)
    try:
        with_uv(uv, target, python, fresh=fresh) if uv else with_pip(target, python, fresh=fresh)
    except Failure as failure:
        if uv is None:
            raise
        note(f"uv failed, trying pip: {failure}")
        with_pip(target, python, fresh=True)
    (target / STAMP_NAME).write_text(wanted_stamp(), encoding="ascii")


def with_uv(uv: str, target: Path, python: Path, *, fresh: bool) -> None:
    """Install with uv."""
    with progress(f"setting up {shown(target)} with uv, Python {version()}"):
        if fresh:
            must([uv, "venv", "--quiet", "--clear", "--python", sys.executable, target])
        must([uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", LOCK_FILE])
        must([uv, "pip", "install", "--quiet", "--python", python, *THIS_PROJECT])


def with_pip(target: Path, python: Path, *, fresh: bool) -> None:
    """Install with the standard library's venv and pip."""
    with progress(f"setting up {shown(target)} with pip, Python {version()}") as say:
        if fresh or run_quietly([python, "-m", "pip", "--version"]).code != 0:
            make_venv(target, say)
        pip: Command = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
        say("installing")
        must([*pip, "--no-deps", "--require-hashes", "--requirement", LOCK_FILE])
        must([*pip, *THIS_PROJECT])


def make_venv(target: Path, say: Callable[[str], None]) -> None:
    """Make an empty environment; Debian's Python needs a package for that."""
    command: Command = [sys.executable, "-m", "venv", "--clear", target]
    done = run_quietly(command)
    if done.code == 0:
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if "ensurepip" in done.output and system.can_install():
        say(f"apt-get install {package}")
        if (trouble := system.install([package])) is not None:
            raise Failure(trouble)
        must(command)
        return
    hint = f"; on Debian and Ubuntu: apt-get install {package}" if "ensurepip" in done.output else ""
    raise Failure(f"{sys.executable} -m venv {target} failed{hint}\n{done.tail()}")


def must(command: Command) -> Finished:
    """Run a step of the installation.

    Raises:
        Failure: it failed; with the end of what it said.
    """
    done = run_quietly(command)
    if done.code != 0:
        raise Failure(f"{' '.join(str(word) for word in command)} ended with {done.code}\n{done.tail()}")
    return done


def write_lock(*, upgrade: bool) -> None:
    """Resolve the dependencies of ``pyproject.toml`` anew into the lock; needs uv.

    Raises:
        Failure: uv is missing or finds no solution.
    """
    if (uv := find_uv()) is None:
        raise Failure("the lock is made by uv, which is not on the PATH; see https://docs.astral.sh/uv/")
    oldest = ".".join(str(number) for number in OLDEST_PYTHON)
    options = ["--universal", "--python-version", oldest, "--generate-hashes"]
    wanted = ["--group", "dev", "--all-extras", "pyproject.toml"]
    # No annotations, no index: the file says what to install, not where from.
    quiet = ["--quiet", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    header = ["--custom-compile-command", "./dev lock"]
    more = ["--upgrade"] if upgrade else []
    with progress("resolving the dependencies"):
        must([uv, "pip", "compile", *options, *quiet, *header, *more, *wanted, "-o", LOCK_FILE])


def shown(target: Path) -> str:
    """Return a short spelling of a path."""
    return str(target.relative_to(ROOT)) if target.is_relative_to(ROOT) else str(target)


def version() -> str:
    """Return the version of the Python that an environment is made with."""
    return ".".join(str(number) for number in sys.version_info[:3])
