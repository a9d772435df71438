"""What ``./dev`` says, and how it runs other programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["ROOT", "Failure", "heading", "note", "progress", "run", "run_quietly"]

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""


class Failure(Exception):
    """``./dev`` cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Finished:
    """How a program ended, with all it said."""

    code: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line that is not empty."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def tail(self, count: int = 25) -> str:
        """The last ``count`` lines, for a message."""
        return "\n".join(self.output.strip().splitlines()[-count:])


def note(text: str) -> None:
    """Say one line about what happens, apart from what programs print."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


def heading(text: str) -> None:
    """Begin a part of the output."""
    print(f"\n── {text} {'─' * max(4, 76 - len(text))}", flush=True)


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Say what is going on, and when it is done, in one line; yields what extends the line meanwhile."""
    started = time.monotonic()
    print(f"dev: {text} …", end="", file=sys.stderr, flush=True)
    try:
        yield lambda more: print(f" {more} …", end="", file=sys.stderr, flush=True)
    except BaseException:
        print(" failed", file=sys.stderr, flush=True)
        raise
    print(f" done ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> int:
    """Run a program in the repository with its output on the terminal; return its exit code."""
    sys.stdout.flush()
    process = subprocess.Popen([str(word) for word in command], cwd=ROOT, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the program too, which may have something to clean up: its end is ours.
            continue


def run_quietly(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Finished:
    """Run a program in the repository and keep what it says."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ if environment is None else environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Finished(done.returncode, done.stdout)
