"""Where the programs are that tests call, and whether this run has to be complete."""

from __future__ import annotations

import os

from tools.devkit.system import find_program

__all__ = ["is_ci", "program"]


def is_ci() -> bool:
    """Return whether the run has to be complete: nothing may be skipped for want of a package."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}


def program(name: str) -> str:
    """Return the path of a program of ``tools/devkit/system.py``.

    Raises:
        LookupError: it is not installed; the test lacks ``@pytest.mark.needs(name)``.
    """
    if (path := find_program(name)) is None:
        raise LookupError(f"program {name!r} is not installed; mark the test with needs({name!r})")
    return path
