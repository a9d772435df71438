"""Fetch an sdist with pip and unpack it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.suites.catalogue import Suite

__all__ = ["copied", "unpacked"]


def unpacked(suite: Suite, store: Path) -> Path:
    """Return the folder of the sdist, which is kept in ``store``.

    Raises:
        RuntimeError: pip could not fetch it.
    """
    name = f"{suite.package}-{suite.version}"
    folder = store / name
    if not folder.exists():
        store.mkdir(parents=True, exist_ok=True)
        archive = store / f"{name}.tar.gz"
        if not archive.exists():
            _download(suite, store)
        with tarfile.open(archive) as tar:
            tar.extractall(store, filter="data")
    return folder


def _download(suite: Suite, store: Path) -> None:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", suite.package]
    pinned = f"{suite.package}=={suite.version}"
    done = subprocess.run([*words, "--dest", store, pinned], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip cannot fetch the sdist of {pinned} (psycopg2 needs pg_config):\n{done.stderr[-2000:]}")


def copied(suite: Suite, source: Path, place: Path) -> Path:
    """Return a folder with the tests alone, so that the installed driver is imported and not the one beside them."""
    if not suite.folder:
        return source
    shutil.copytree(source / suite.folder, place / suite.folder)
    return place
