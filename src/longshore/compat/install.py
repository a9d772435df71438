"""Makes the names of Cloudflare's Python SDK importable: ``workers``, ``asgi``, ``cloudflare.sockets``.

Nothing is written to disk. A finder in front of all others answers for these names, each with the one module of ours
that it stands for, so ``workers.Response is longshore.workers.Response``. It wins over an installed
``workers-runtime-sdk``, which needs Cloudflare's runtime; it loses to a module ``asgi`` of the project, and leaves an
installed ``cloudflare`` (the client of Cloudflare's HTTP interface) as it is, adding two modules to it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["install"]

ALIASES = {
    "workers": "longshore.workers",
    "asgi": "longshore.workers.asgi",
    "cloudflare": "longshore.compat.cloudflare",
    "cloudflare.sockets": "longshore.compat.cloudflare.sockets",
    "cloudflare.workers": "longshore.compat.cloudflare.workers",
}


def install() -> None:
    """Make the names importable; calling it again does nothing."""
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())


class AliasFinder(MetaPathFinder):
    """Answers for the names in ``ALIASES``, and for what is below ``workers``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load ``fullname``, or None when it is not ours to answer for."""
        real = _real_name(fullname)
        if real is None or (fullname in ("asgi", "cloudflare") and _is_elsewhere(fullname)):
            return None
        found = find_spec(real)
        if found is None:
            return None
        spec = ModuleSpec(fullname, AliasLoader(real), origin=found.origin)
        spec.submodule_search_locations = found.submodule_search_locations
        return spec


class AliasLoader(Loader):
    """Gives a module of ours under another name.

    Args:
        real_name: the module's own name.
    """

    def __init__(self, real_name: str) -> None:
        self._real_name = real_name
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module itself."""
        module = importlib.import_module(self._real_name)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back its own spec, which the import system has just replaced; it has run already."""
        module.__spec__ = self._own_spec


def _real_name(fullname: str) -> str | None:
    if fullname.startswith("workers."):
        return f"longshore.{fullname}"
    return ALIASES.get(fullname)


def _is_elsewhere(name: str) -> bool:
    """Tell whether somebody else has a module of this name that is to be used: not the one of Cloudflare's SDK."""
    found = PathFinder.find_spec(name)
    if found is None or found.origin is None:
        return found is not None and name != "cloudflare"  # a mere folder of that name is nothing to import
    beside = Path(found.origin).parent / "workers"
    return not any((beside / file).is_file() for file in ("entrypoints.py", "_workers.py"))
