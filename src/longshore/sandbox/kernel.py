"""Calls of the kernel that Python has no function for (Linux), through ctypes and nowhere else.

Every argument goes over as a C long: a bare Python int would go as 32 bits, and leave garbage in the upper half.
Nothing is looked up before the first call, so that this can be imported on every system.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from typing import Final

__all__ = ["call_libc", "is_supported", "prctl", "syscall", "system_call"]

_COMMON: Final = {
    "close_range": 436,
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_NUMBERS: Final = {
    "x86_64": {"clone": 56, "capset": 126, "keyctl": 250, "pivot_root": 155, **_COMMON},
    "aarch64": {"clone": 220, "capset": 91, "keyctl": 219, "pivot_root": 41, **_COMMON},
}
_LONGS: Final = (ctypes.c_long,) * 7


def is_supported() -> bool:
    """Return whether this is a Linux whose numbers are known here."""
    return platform.system() == "Linux" and platform.machine() in _NUMBERS


def syscall(name: str, *arguments: int) -> int:
    """Make a system call by its name in ``unistd.h``.

    Args:
        name: one of this module's table.
        arguments: at most six numbers; addresses of buffers by ``ctypes.addressof``.

    Raises:
        OSError: the kernel refused.
    """
    return system_call(_NUMBERS[platform.machine()][name], *arguments)


def system_call(number: int, *arguments: int) -> int:
    """Make a system call by its number.

    Raises:
        OSError: the kernel refused.
    """
    padded = (number, *arguments, *(0,) * (6 - len(arguments)))
    return _checked(_syscall_function()(*padded))


def prctl(option: int, *arguments: int) -> int:
    """Change something about this process or thread.

    Raises:
        OSError: the kernel refused.
    """
    return call_libc("prctl", option, *arguments, *(0,) * (4 - len(arguments)))


def call_libc(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of the C library that takes longs and texts, and answers -1 with ``errno`` when it fails.

    Raises:
        OSError: it failed.
    """
    converted = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    return _checked(getattr(_libc(), name)(*converted))


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@functools.cache
def _libc() -> ctypes.PyDLL:
    # PyDLL keeps the GIL during a call: a process that is made by one of these calls must find it held.
    return ctypes.PyDLL(None, use_errno=True)


@functools.cache
def _syscall_function() -> ctypes._NamedFuncPointer:
    function = _libc().syscall
    function.restype = ctypes.c_long
    function.argtypes = _LONGS
    return function
