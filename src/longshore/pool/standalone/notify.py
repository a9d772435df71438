"""What systemd is told and what it gives: sd_notify(3), sd_listen_fds(3) (shell)."""

from __future__ import annotations

import contextlib
import os
import socket
from time import clock_gettime_ns
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

__all__ = ["READY", "STOPPING", "notify", "reloading", "sockets_of_systemd"]

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
_FIRST_FD: Final = 3
_CLOCK_MONOTONIC: Final = 1


def notify(state: str, variables: Mapping[str, str]) -> None:
    """Tell systemd something, when it is there; never fails."""
    address = variables.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)


def reloading() -> str:
    """Return what says that a reload begins (``Type=notify-reload`` wants the time)."""
    return f"RELOADING=1\nMONOTONIC_USEC={clock_gettime_ns(_CLOCK_MONOTONIC) // 1000}"


def sockets_of_systemd(variables: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the listening sockets of a ``.socket`` unit; they are ours from now on.

    Args:
        variables: the environment; what speaks of the sockets is removed, so that no child takes them for its own.
    """
    count, pid = variables.pop("LISTEN_FDS", ""), variables.pop("LISTEN_PID", "")
    variables.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for fd in range(_FIRST_FD, _FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        found.append(sock)
    return found
