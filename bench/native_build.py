"""Compiles ``native/*.c`` into a temporary directory that ends with the run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.machine import compiler

__all__ = ["BuildError", "NativePrograms"]

_SOURCES = Path(__file__).parent / "native"


class BuildError(Exception):
    """The compiler is absent, or refused."""


class NativePrograms:
    """The compiled programs, each built when it is asked for first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str) -> str:
        """Return the program built from ``native/NAME.c``.

        Raises:
            BuildError: no compiler, or an error of the compiler.
        """
        target = self._directory / name
        if not target.exists():
            self._compile(name, target)
        return str(target)

    def _compile(self, name: str, target: Path) -> None:
        program = compiler()
        if program is None:
            raise BuildError("no C compiler found; install gcc: the servers are written in C")
        command = [program, "-O2", "-Wall", "-o", str(target), str(_SOURCES / f"{name}.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{program} could not compile {name}.c: {done.stderr.strip()}")
