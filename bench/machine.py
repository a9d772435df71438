"""The machine: which core is whose, and what a reader must know of it (no path, no host name)."""

from __future__ import annotations

import os
import platform
import re
import shutil
import ssl
import subprocess
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compiler", "cores", "facts", "pinned"]

_PACKAGES = ("uvloop", "anyio", "trio", "uvicorn", "httptools")


def cores() -> tuple[int, int] | None:
    """Return the client's core and the server's, or None where nothing can be pinned.

    The last two this process may use: core 0 is where most interrupts go.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-2], usable[-1]) if len(usable) > 1 else None


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Start processes in this block and they run on that core, from their first instruction on."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def compiler() -> str | None:
    """Return the name of the C compiler, None when there is none."""
    return next((name for name in ("gcc", "cc", "clang") if shutil.which(name)), None)


def _first_line(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.stdout else None


def _version(text: str | None) -> str | None:
    found = re.findall(r"\d+(?:\.\d+)+", text or "")
    return found[-1] if found else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def facts() -> dict[str, object]:
    """Return what is worth knowing about this machine, versions of the contenders included."""
    name = compiler()
    versions: dict[str, str | None] = {
        "python": platform.python_version(),
        **_packages(),
        "openssl": ssl.OPENSSL_VERSION.split()[1],
        "node": _version(_first_line("node", "--version")),
        name or "cc": _version(_first_line(name, "--version")) if name else None,
    }
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {_version(platform.release())} {platform.machine()}",
        "pinned": cores() is not None,
        "versions": {key: value for key, value in versions.items() if value},
    }
