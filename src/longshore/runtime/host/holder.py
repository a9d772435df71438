"""Which process listens on a port (shell): read from /proc, so on Linux only.

Other users' processes are seen by root alone.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["find_holder"]

_LISTEN = "0A"


def find_holder(port: int) -> str:
    """Return ``"'node' (process 123)"`` for who listens on a TCP port, empty when it cannot be found out."""
    sockets = _listening_inodes(port)
    if not sockets:
        return ""
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and _holds(directory, sockets):
            return f"{_name(directory)!r} (process {directory.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _holds(directory: Path, sockets: set[str]) -> bool:
    try:
        with os.scandir(directory / "fd") as entries:
            return any(os.readlink(entry.path) in sockets for entry in entries)
    except OSError:
        return False  # another user's, or it just ended


def _name(directory: Path) -> str:
    try:
        return (directory / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"
