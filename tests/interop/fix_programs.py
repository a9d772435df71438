"""Clients that have to be made: the packages for Node.js, and a program in C, linked statically.

Where that is not possible the clients that want them are skipped or fail, and no others.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devkit.system import find_program

FOLDER = Path(__file__).parent
INSTALL = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """The folder ``node_modules``, with what ``node/package-lock.json`` says."""
    folder = FOLDER / "node"
    lock = folder / "package-lock.json"
    installed = folder / "node_modules" / ".package-lock.json"
    npm = find_program("npm")
    if npm is not None:
        with lock.open(encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # another run may be at it
            if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
                done = subprocess.run([npm, "ci", *INSTALL], cwd=folder, check=False, stderr=subprocess.PIPE, text=True)
                sys.stderr.write(done.stderr)
    return folder / "node_modules"


@pytest.fixture(scope="session")
def static_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``http_get``: gets a page from HOST PORT PATH and prints what comes, head and all."""
    path = tmp_path_factory.mktemp("static") / "http_get"
    if (gcc := find_program("gcc")) is not None:
        # That getaddrinfo() wants the C library's plugins at run time is a warning: it gets along without.
        command = [gcc, "-static", "-O1", "-o", str(path), str(FOLDER / "http_get.c")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path
