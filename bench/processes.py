"""Starts the processes of a run and sees that none outlives it.

Every process gets a session of its own: Ctrl-C reaches the bench alone, which then kills what it started.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.machine import pinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ROOT", "Answer", "ContenderFailed", "measure", "python", "server"]

Answer = dict[str, Any]
"""What a measured process prints for a job: a reading, or ``{"error": …}``."""
ROOT = Path(__file__).parent.parent
"""Where ``python -m bench…`` finds the package."""
_PATIENCE_S = 300.0
"""The longest round: trio sends 1 GiB over TLS in a few seconds; a hang must end some day."""


class ContenderFailed(Exception):
    """A measured process broke off; the message is the last thing it said."""


def python(*arguments: str) -> list[str]:
    """Return the command that runs a module of this package with this interpreter."""
    return [sys.executable, "-m", *arguments]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def measure(command: Sequence[str], core: int | None, patience_s: float = _PATIENCE_S) -> list[Answer]:
    """Run one measured process to its end and return the readings it printed, one a line.

    Raises:
        ContenderFailed: it exited with an error or took longer than ``patience_s``.
    """
    with pinned(core):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    try:
        output, errors = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired as error:
        raise ContenderFailed(f"not done after {patience_s:g} s") from error
    finally:
        _end(process)
    if process.returncode:
        raise ContenderFailed(f"exit {process.returncode}: {_last_line(errors)}")
    return [json.loads(line) for line in output.splitlines()]


@contextmanager
def server(command: Sequence[str], core: int | None) -> Iterator[int]:
    """Run a server for the block; the value is the port it printed.

    Raises:
        RuntimeError: it ended without saying a port.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = _start_server(command, core, errors)
        try:
            yield _announced_port(process, command, errors)
        finally:
            _end(process)


def _start_server(command: Sequence[str], core: int | None, errors: IO[str]) -> subprocess.Popen[str]:
    with pinned(core):
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )


def _announced_port(process: subprocess.Popen[str], command: Sequence[str], errors: IO[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line.strip().isdigit():
        return int(line)
    errors.seek(0)
    raise RuntimeError(f"server {command[-1]!r} ended before it said its port: {_last_line(errors.read())}")


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
