"""Clients that are programs: run them and return what they print."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["NODE_FOLDER", "node", "output"]

LIMIT_S = 45.0
NODE_FOLDER = Path(__file__).parents[1] / "node"


def output(*command: str, say: str = "", **environment: str) -> str:
    """Return what a program writes to stdout, which has to end with 0."""
    done = subprocess.run(
        command,
        input=say,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout.strip()


def node(script: str, target_json: str) -> str:
    """Run a script of ``tests/interop/node``, which finds the target on stdin."""
    return output("node", str(NODE_FOLDER / script), say=target_json)
