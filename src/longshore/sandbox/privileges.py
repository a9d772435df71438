"""Giving up privileges for good (Linux)."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

from longshore.sandbox.kernel import prctl, syscall

__all__ = [
    "die_first_without_memory",
    "die_with_parent",
    "drop_capabilities",
    "forbid_new_privileges",
    "leave_keyrings",
    "name_process",
    "set_dumpable",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38

_OOM_SCORE = b"500"  # half of the machine's memory on top of what it uses
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x2008_0522
_LAST_POSSIBLE_CAPABILITY = 63
# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock, and the lock of KEEP_CAPS: the user 0 is
# nobody special any more, neither at exec nor at a change of user.
_SECUREBITS = 0b11_10_11_11


def drop_capabilities() -> None:
    """Drop every capability from every set; no exec and no setuid program brings one back.

    Raises:
        OSError: the kernel refused.
    """
    for capability in range(_LAST_POSSIBLE_CAPABILITY + 1):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                break  # the kernel has no more
            if exc.errno != errno.EPERM:
                raise
            break  # an ordinary user, who has none to drop
    try:
        prctl(_PR_SET_SECUREBITS, _SECUREBITS)
    except PermissionError:
        pass  # the same
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    nothing = ctypes.create_string_buffer(24)
    syscall("capset", ctypes.addressof(header), ctypes.addressof(nothing))


def forbid_new_privileges() -> None:
    """Make setuid programs and file capabilities ordinary, for this process and all that come of it."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def leave_keyrings() -> None:
    """Take a new and empty session keyring: the inherited one may hold keys and tokens of the account."""
    try:
        syscall("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, 0)
    except OSError:
        pass  # a kernel without keyrings, or a container that forbids them


def set_dumpable(*, is_dumpable: bool) -> None:
    """Say whether processes of the same account may trace this one, and read its memory and descriptors."""
    prctl(_PR_SET_DUMPABLE, int(is_dumpable))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; the caller checks that it has not ended before."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_first_without_memory() -> None:
    """When the machine runs out of memory, have the kernel end this process, and what comes of it, before the host."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, _OOM_SCORE)
    except OSError:
        pass  # it was to go first already
    finally:
        os.close(fd)


def name_process(name: str) -> None:
    """Set what ``ps`` shows (the first 15 bytes)."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    prctl(_PR_SET_NAME, ctypes.addressof(buffer))
