"""Run an example as its reader would: as a script, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["EXAMPLES", "run_example"]

EXAMPLES = Path(__file__).parents[2] / "examples"

LIMIT_S = 40.0


def run_example(name: str, *arguments: object) -> str:
    """Return what ``examples/<name>.py`` printed; it must end with 0 and without a warning."""
    options = ["-W", "error", "-X", "dev"]
    command = [sys.executable, *options, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}{done.stderr}"
    return done.stdout
