"""Imports the user's main module so that its own imports, its tracebacks and its edits work as a developer expects."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, ModuleType

    from _typeshed.importlib import PathEntryFinderProtocol

    from longshore.config.model import WorkerConfig

__all__ = ["import_main", "read_sources_afresh"]


def import_main(config: WorkerConfig) -> tuple[ModuleType, str | None]:
    """Import what ``config.main`` names.

    A file is imported under the name that its siblings would use for it, so that ``import entry`` in one of them gives
    the same module; ``module_root`` comes first on ``sys.path``.

    Returns:
        The module, and what follows the colon of ``"module:attribute"``.

    Raises:
        ImportError: there is no such module, or it cannot be loaded.
        BaseException: whatever the module raises, ``SystemExit`` included.
    """
    root = config.module_root
    if root not in sys.path:
        sys.path.insert(0, root)
    importlib.invalidate_caches()
    path = Path(config.main)
    if path.is_absolute():
        return _import_file(path), None
    name, _, attribute = config.main.partition(":")
    return importlib.import_module(name), attribute or None


def _import_file(path: Path) -> ModuleType:
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path, loader=_loader(name, path))
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {str(path)!r}: the main module must be a .py file", path=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return sys.modules.get(name, module)  # a module may replace itself


def _module_name(path: Path) -> str:
    """Return the stem, unless that is no name, or that of a module which somebody else means by it."""
    stem = path.parent.name if path.stem == "__init__" else path.stem
    is_taken = stem in sys.modules or stem in sys.stdlib_module_names or stem == "workers"  # that is the SDK
    if stem.isidentifier() and not is_taken:
        return stem
    return "worker_" + "".join(char if char.isalnum() else "_" for char in stem)


# -- no stale byte code ---------------------------------------------------------------------------

# Installed code below the project, which nobody edits.
_LIBRARIES = frozenset({"site-packages", "dist-packages", "python_modules", "node_modules"})

_afresh: list[str] = []


def read_sources_afresh(folder: str) -> None:
    """Compile the modules below ``folder`` from their source, always.

    Python takes cached byte code for current when size and modification second of the source agree: an edit that
    changes one digit within a second of the last would not be seen.
    """
    real = os.path.join(os.path.realpath(folder), "")
    _afresh.append(real)
    hook = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_FreshLoader, SOURCE_SUFFIXES))

    def finder_below(path: str) -> PathEntryFinderProtocol:
        if not _is_fresh(path):
            raise ImportError("not a folder of the project", path=path)
        return hook(path)

    sys.path_hooks.insert(0, finder_below)
    for path in list(sys.path_importer_cache):
        if path.startswith((real, folder)):
            del sys.path_importer_cache[path]


def _is_fresh(path: str) -> bool:
    real = os.path.join(os.path.realpath(path), "")
    return real.startswith(tuple(_afresh)) and _LIBRARIES.isdisjoint(real.split(os.sep))


def _loader(name: str, path: Path) -> SourceFileLoader | None:
    """Return a loader for a file of a watched folder; None for Python's choice."""
    return _FreshLoader(name, str(path)) if path.suffix == ".py" and _is_fresh(str(path)) else None


class _FreshLoader(SourceFileLoader):
    """Neither reads nor writes byte code."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)
