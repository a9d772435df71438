"""Put the seccomp filter on the calling thread and everything it starts (Linux)."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from functools import cache

from longshore.sandbox.bpf import make_filter, pack_filter
from longshore.sandbox.kernel import prctl, system_call
from longshore.sandbox.syscalls import abi_of

__all__ = ["install_filter", "prepare_filter"]

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_NUMBERS = {"x86_64": 317, "aarch64": 277}
_SECCOMP_SET_MODE_FILTER = 1
_FILTER_FLAG_NEW_LISTENER = 8
_FILTER_FLAG_WAIT_KILLABLE_RECV = 32


def install_filter() -> int:
    """Install the worker's filter and return its listener.

    From here on every TCP ``socket()`` and every ``connect()`` waits until somebody answers at the listener; what is
    needed for handing that over must be open already. The caller closes it afterwards: who holds it decides. Also sets
    ``no_new_privs``. To be called once in a process with one thread: the filter cannot be taken off again, a second
    listener in one tree of processes is refused (EBUSY), and only the calling thread would be under it.

    Returns:
        A descriptor for ``longshore.sandbox.notify.Listener``, close-on-exec.

    Raises:
        OSError: the kernel refused (EBUSY: there is a listener already; EINVAL: it has no such filters), or the
            architecture is not known here (ENOSYS).
    """
    machine = os.uname().machine
    abi = abi_of(machine)
    # A process of 32 bits on a kernel of 64 says the kernel's architecture.
    if abi is None or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, f"no seccomp filter for {machine}")
    program = _program(machine)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    head = ctypes.create_string_buffer(struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(buffer)), 16)
    try:
        flags = _FILTER_FLAG_NEW_LISTENER | _FILTER_FLAG_WAIT_KILLABLE_RECV
        return _set_filter(_SECCOMP_NUMBERS[machine], flags, head)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
        # Before Linux 5.19 a signal may interrupt a call whose notification has been read already.
        return _set_filter(_SECCOMP_NUMBERS[machine], _FILTER_FLAG_NEW_LISTENER, head)


def prepare_filter() -> None:
    """Assemble the filter now: the children of this process find it made."""
    machine = os.uname().machine
    if abi_of(machine) is not None:
        _program(machine)


@cache
def _program(machine: str) -> bytes:
    abi = abi_of(machine)
    assert abi is not None, "the caller has asked"
    return pack_filter(make_filter(abi))


def _set_filter(number: int, flags: int, program: ctypes.Array[ctypes.c_char]) -> int:
    return system_call(number, _SECCOMP_SET_MODE_FILTER, flags, ctypes.addressof(program))
