"""The hot modules of the pool in compiled form, where there is one (shell over the import system).

``./dev compile`` makes extension modules from the same sources with mypyc and lays them into ``DIRECTORY``, with the
digest of the sources. They are used when that digest is the one of the sources that lie here now, all of them or none:
a stale binary is never imported. ``LONGSHORE_PURE=1`` does without.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = [
    "DIGEST_NAME",
    "DIRECTORY",
    "MODULES",
    "RUNTIME",
    "are_fresh",
    "digest",
    "install",
    "is_compiled",
    "source_of",
]

MODULES: Final = (
    "longshore.pool.clients.connection",
    "longshore.pool.session.fast_lane",
    "longshore.pool.hot.listener",
    "longshore.pool.hot.selector",
    "longshore.pool.hot.transport",
    "longshore.pool.servers.connection",
    "longshore.pool.slots.state",
)
"""All of ``longshore.pool``: what is imported before that package cannot be exchanged any more."""
RUNTIME: Final = "longshore.pool.native__mypyc"
"""What they share."""
DIRECTORY: Final = Path(__file__).parent / "_native"
DIGEST_NAME: Final = "sources.sha256"
_SUFFIX: Final = importlib.machinery.EXTENSION_SUFFIXES[0]
_ROOT: Final = Path(__file__).parents[2]


def source_of(module: str) -> Path:
    """Return where the source of a module is."""
    return _ROOT.joinpath(*module.split(".")).with_suffix(".py")


def digest() -> str:
    """Return what tells whether sources and this Python are those of the binaries."""
    found = hashlib.sha256(_SUFFIX.encode())
    for module in MODULES:
        found.update(source_of(module).read_bytes())
    return found.hexdigest()


def are_fresh(directory: Path) -> bool:
    """Return whether the binaries in a directory were made from the sources that lie here."""
    try:
        return (directory / DIGEST_NAME).read_text().strip() == digest()
    except OSError:
        return False  # there are none, or no sources to compare them with


class _Finder:
    """Finds the binaries."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        if name not in MODULES and name != RUNTIME:
            return None
        file = str(DIRECTORY / (name + _SUFFIX))
        loader = importlib.machinery.ExtensionFileLoader(name, file)
        return importlib.util.spec_from_file_location(name, file, loader=loader)


def install() -> None:
    """Have later imports find the binaries, if they are those of the sources; idempotent."""
    if os.environ.get("LONGSHORE_PURE") or is_compiled() or any(name in sys.modules for name in MODULES):
        return
    if are_fresh(DIRECTORY):
        sys.meta_path.insert(0, _Finder)


def is_compiled() -> bool:
    """Return whether the compiled form runs."""
    return _Finder in sys.meta_path
