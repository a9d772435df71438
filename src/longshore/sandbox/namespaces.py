"""Namespaces of a new process: which ones, whose they are, and the settings that belong to them (Linux)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NAMESPACES", "clone_flags", "forbid_nested_namespaces", "map_identity", "set_hostname"]

NAMESPACES: Final = {
    "user": 0x1000_0000,
    "mount": 0x0002_0000,
    "network": 0x4000_0000,
    "pid": 0x2000_0000,
    "ipc": 0x0800_0000,
    "uts": 0x0400_0000,
}
"""``CLONE_NEW…`` of the layers that are namespaces."""


def clone_flags(layers: Iterable[str]) -> int:
    """Return what clone(2) is told."""
    return sum(flag for name, flag in NAMESPACES.items() if name in layers)


def map_identity(uid: int, gid: int) -> None:
    """Make one user and one group known in the caller's new user namespace, under the numbers they have outside.

    An unprivileged process may map its own numbers and nobody else's, and only when it can no more drop groups
    (``setgroups``): a group can also be there to keep its members out.

    Args:
        uid: effective user outside.
        gid: effective group outside.
    """
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def forbid_nested_namespaces() -> None:
    """Let nobody in the caller's user namespace make another: in one of its own a worker would have capabilities again.

    Those would hold for its own namespace only; but they open doors of the kernel that need not be open. The setting
    belongs to the caller's user namespace, which therefore must be a new one. Where ``/proc/sys`` is read-only
    nothing changes.
    """
    try:
        _write("/proc/sys/user/max_user_namespaces", "0")
    except OSError:
        pass


def set_hostname(name: str) -> None:
    """Set the name that ``gethostname()`` tells inside."""
    socket.sethostname(name)


def _write(path: str, text: str) -> None:
    with Path(path).open("wb", buffering=0) as file:
        file.write(text.encode())
