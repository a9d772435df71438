"""Landlock: a second lock on files, TCP and signals, which a process puts on itself and never gets off (Linux 5.13)."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from longshore.sandbox.kernel import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MINIMUM_ABI", "landlock_abi", "restrict", "visible_parts"]

MINIMUM_ABI: Final = {"landlock-files": 1, "landlock-tcp": 4, "landlock-scope": 6}
"""The version of Landlock that brought each layer."""

_VERSION_ASKED = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_USE_DEVICES = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_BITS_OF_ABI: Final = ((5, 16), (3, 15), (2, 14), (1, 13))
_ALL_TCP = 0b11  # bind and connect
_ALL_SCOPES = 0b11  # abstract Unix sockets and signals


def landlock_abi() -> int:
    """Return the version of Landlock that this kernel has, 0 for none."""
    try:
        return syscall("landlock_create_ruleset", 0, 0, _VERSION_ASKED)
    except OSError:
        return 0


def restrict(
    layers: Iterable[str], abi: int, *, readable: Sequence[str], writable: Sequence[str], devices: Sequence[str] = ()
) -> None:
    """Put the Landlock layers that are among ``layers`` on the caller, which has ``no_new_privs``.

    Args:
        layers: names; others than Landlock's are passed over.
        abi: what ``landlock_abi()`` said.
        readable: paths below which files may be read and run; here and below, what does not exist is passed over.
        writable: paths below which everything may be done, but making devices.
        devices: folders whose files may be read and written.

    Raises:
        OSError: the kernel refused.
    """
    handled = _all_files(abi) if "landlock-files" in layers else 0
    tcp = _ALL_TCP if "landlock-tcp" in layers else 0
    scopes = _ALL_SCOPES if "landlock-scope" in layers else 0
    if not handled | tcp | scopes:
        return
    ruleset = _make_ruleset(abi, handled, tcp, scopes)
    try:
        if handled:
            for paths, rights in (
                (readable, _READ),
                (writable, handled & ~(_MAKE_CHAR | _MAKE_BLOCK)),
                (devices, _USE_DEVICES),
            ):
                for path in paths:
                    _allow(ruleset, path, rights & handled)
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def visible_parts(path: str, hidden: Iterable[str]) -> list[str]:
    """Return what is to be allowed so that everything below ``path`` is, but for ``hidden``.

    Landlock takes nothing away from what it allowed; so the folders that lead to a hidden path are taken apart. What
    appears in those later is hidden too. Needed where no mount namespace hides it.
    """
    inside = [each for each in hidden if each == path or each.startswith(path.rstrip("/") + "/")]
    if not inside:
        return [path]
    if path in inside:
        return []
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return []
    return [part for name in names for part in visible_parts(os.path.join(path, name), inside)]


def _all_files(abi: int) -> int:
    bits = next(bits for since, bits in _BITS_OF_ABI if abi >= since)
    return (1 << bits) - 1


def _make_ruleset(abi: int, files: int, tcp: int, scopes: int) -> int:
    # The structure grew with the versions; an older kernel takes only what it knows.
    known = sum(abi >= since for since in MINIMUM_ABI.values())
    attributes = struct.pack(f"={known}Q", *(files, tcp, scopes)[:known])
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return syscall("landlock_create_ruleset", ctypes.addressof(buffer), len(attributes), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FOR_FILES
        buffer = ctypes.create_string_buffer(struct.pack("=Qi", rights, fd), 12)
        syscall("landlock_add_rule", ruleset, _PATH_BENEATH, ctypes.addressof(buffer), 0)
    finally:
        os.close(fd)
