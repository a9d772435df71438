"""``reset_held``: resets a connection through whoever holds it, without the right to destroy it (shell; Linux).

An account without CAP_NET_ADMIN may still reach into its own processes and the workers that it made. Connecting a
socket to nothing (``AF_UNSPEC``) resets it; its holder reads ECONNRESET, never an end-of-file (rule K5).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from longshore.sandbox.foreign import Descriptors, connect_raw

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reset_held"]

_NOWHERE: Final = struct.pack("=H14x", socket.AF_UNSPEC)


def reset_held(inode: int) -> bool:
    """Reset the socket of this inode; return whether a holder was found. Reads all of ``/proc``: not for the loop."""
    descriptors = Descriptors()
    try:
        for pid, number in _holders(inode):
            with contextlib.suppress(OSError):  # it is gone, or not ours
                fd = descriptors.duplicate(pid, number)
                try:
                    if os.fstat(fd).st_ino == inode and connect_raw(fd, _NOWHERE) == 0:
                        return True
                finally:
                    os.close(fd)
    finally:
        descriptors.close()
    return False


def _holders(inode: int) -> Iterator[tuple[int, int]]:
    """Yield the processes that we may look into and that have the socket, with the number of the descriptor."""
    wanted = f"socket:[{inode}]"
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            folder = f"/proc/{name}/fd"
            for number in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{number}") == wanted:
                        yield int(name), int(number)
