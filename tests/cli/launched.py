"""Runs ``longshore`` as a process of its own, without a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from queue import Empty, Queue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["LIMIT_S", "Launched", "environment", "launched", "run_longshore"]

LIMIT_S: Final = 20.0
"""Bound on anything that is waited for; what is expected takes a second on a quiet machine."""


def environment(**more: str) -> dict[str, str]:
    """Return variables as a person has them: nothing that forces colours or a width."""
    left_out = {"COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TERM", "CLOUDFLARE_ENV"}
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    return {**kept, "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8", **more}


def run_longshore(
    *arguments: str, cwd: Path | None = None, timeout_s: float = LIMIT_S, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "longshore", *arguments],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=timeout_s,
    )


class Launched:
    """A command that goes on; what it prints is read by a thread, so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._is_deaf = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if self._is_deaf:
                break
            self._lines.put(line.rstrip("\n"))
        self.process.stdout.close()
        self._lines.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in a line that was not looked at yet."""
        while True:
            try:
                line = self._lines.get(timeout=LIMIT_S)
            except Empty:
                raise AssertionError(f"no line like {pattern!r} after:\n" + "\n".join(self.seen)) from None
            if line is None:
                raise AssertionError(f"it ended before a line like {pattern!r}:\n" + "\n".join(self.seen))
            self.seen.append(line)
            if (match := re.search(pattern, line)) is not None:
                return match

    def stop_reading(self) -> None:
        """Close our end after the next line, as ``head`` does."""
        self._is_deaf = True

    def ended(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(LIMIT_S)
        self._thread.join(LIMIT_S)
        while (line := self._lines.get_nowait()) is not None:
            self.seen.append(line)
        return code

    def close(self) -> None:
        """Let the thread end; the process has ended."""
        self._thread.join(LIMIT_S)

    @property
    def text(self) -> str:
        """What was looked at so far."""
        return "\n".join(self.seen)


@contextlib.contextmanager
def launched(
    *arguments: str, cwd: Path | None = None, before: Sequence[str] = (), **variables: str
) -> Iterator[Launched]:
    """Run a command for as long as the block lasts; it is killed in the end if it still runs.

    Args:
        arguments: of ``longshore``.
        cwd: where to run it.
        before: what runs it in its turn, in its own place (``exec``).
        variables: more of its environment.
    """
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "longshore", *arguments],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    running = Launched(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        running.close()
