"""Which changes of files make ``longshore dev`` reload, and the watching itself (shell over watchfiles).

Only folders that may hold code are watched, one by one: a project's ``.venv`` or ``node_modules`` may have ten
thousand folders, and each watched one takes time at the start and a piece of the kernel's limit. When a folder appears,
the watch begins anew with it. What changes while no watch is there, is found by comparing what the files look like.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import PurePath
from typing import TYPE_CHECKING

from watchfiles import Change, awatch

from longshore.aio.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

__all__ = ["is_config", "is_relevant", "watch_files"]

# A file that a worker writes itself (a database, a log, JSON) must not make it reload: only what is read as code does.
_SUFFIXES = frozenset({".py", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".sql", ".graphql"})
_CONFIG_NAMES = frozenset({"longshore.toml", "wrangler.toml", "wrangler.json", "wrangler.jsonc", "pyproject.toml"})
_FOLDERS = frozenset({"__pycache__", "node_modules", "python_modules", "site-packages"})
_ENVIRONMENT = "pyvenv.cfg"  # marks a virtual environment, whatever its name

# A save is a burst of two or three events within a millisecond; 10 ms of silence end it, 50 ms of events do too.
_STEP_MS = 10
_DEBOUNCE_MS = 50

_Looks = tuple[int, int]
"""Modification time in nanoseconds, and size."""


def is_relevant(name: str) -> bool:
    """Return whether a change of a file of this name may change what the worker does."""
    # Editors: .#entry.py (emacs), entry.py~, .entry.py.swp and 4913 (vim), entry.py___jb_tmp___ (JetBrains).
    return is_config(name) or (not name.startswith((".", "#")) and PurePath(name).suffix in _SUFFIXES)


def is_config(name: str) -> bool:
    """Return whether a file of this name takes part in the configuration."""
    if name.endswith(("~", ".swp", ".swx", ".tmp")):
        return False
    return name in _CONFIG_NAMES or name in {".dev.vars", ".env"} or name.startswith((".dev.vars.", ".env."))


async def watch_files(folders: Iterable[str], config_file: str | None = None) -> AsyncGenerator[tuple[str, ...], None]:
    """Yield the relevant files that changed, sorted, once per burst of changes.

    Args:
        folders: watched with everything below them; one that does not exist is passed over.
        config_file: watched as well, wherever it is and whatever its name.

    Cancellation: safe; the watching ends.
    """
    tree = _Tree(folders, config_file)
    while tree.folders:
        bursts = awatch(
            *sorted(tree.folders),
            watch_filter=tree.is_wanted,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            recursive=False,
            ignore_permission_denied=True,
        )
        async with aclosing(bursts):
            following = spawn(_next(bursts), name="watch files")
            try:
                await asyncio.sleep(0)  # it watches from its first step on
                changed, has_grown = tree.look()
                while not has_grown:
                    if changed:
                        yield tuple(sorted(changed))
                    changed, has_grown = tree.take(await following)
                    if not has_grown:
                        following = spawn(_next(bursts), name="watch files")
            finally:
                following.cancel()
                await asyncio.wait([following])
        if changed:
            yield tuple(sorted(changed))


class _Tree:
    """The folders to watch, and what the relevant files in them look like."""

    def __init__(self, folders: Iterable[str], config_file: str | None) -> None:
        self._roots = sorted(set(folders))
        self._config_file = config_file
        self.folders: set[str] = set()
        self._files: dict[str, _Looks] = {}
        self.look()

    def is_wanted(self, change: Change, path: str) -> bool:
        """Return whether an event says something: about a relevant file, or a new folder."""
        return self._counts(path) or (change is Change.added and self._is_folder(path))

    def take(self, burst: set[tuple[Change, str]]) -> tuple[set[str], bool]:
        """Return the files of a burst of events, and whether there are new folders to watch."""
        paths = {path for _, path in burst}
        changed = {path for path in paths if self._counts(path)}
        if changed != paths:
            return self.look(changed)
        for path in changed:
            self._remember(path)
        return changed, False

    def look(self, changed: set[str] | None = None) -> tuple[set[str], bool]:
        """Compare with what was seen last; return the files that changed, and whether there are other folders."""
        before, folders = self._files, self.folders
        self._files, self.folders = {}, set()
        for root in self._roots:
            self._scan(root)
        if self._config_file is not None:
            # The folder and not the file: editors replace files, and the watch would stay with the old one.
            self.folders.add(os.path.dirname(self._config_file))
            self._remember(self._config_file)
        self.folders = {folder for folder in self.folders if os.path.isdir(folder)}
        differing = before.items() ^ self._files.items()
        return (changed or set()) | {path for path, _ in differing}, self.folders != folders

    def _scan(self, root: str) -> None:
        for folder, names, files in os.walk(root):
            if _ENVIRONMENT in files and folder != root:
                names.clear()
                continue
            self.folders.add(folder)
            names[:] = [name for name in names if not _is_ignored(name)]
            for name in files:
                if is_relevant(name):
                    self._remember(os.path.join(folder, name))

    def _remember(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError:
            self._files.pop(path, None)
        else:
            self._files[path] = (status.st_mtime_ns, status.st_size)

    def _counts(self, path: str) -> bool:
        if path == self._config_file:
            return True
        folder, name = os.path.split(path)
        return is_relevant(name) and any(PurePath(folder).is_relative_to(root) for root in self._roots)

    def _is_folder(self, path: str) -> bool:
        return not _is_ignored(os.path.basename(path)) and os.path.isdir(path)


def _is_ignored(name: str) -> bool:
    return name in _FOLDERS or name.startswith(".")


async def _next(bursts: AsyncGenerator[set[tuple[Change, str]], None]) -> set[tuple[Change, str]]:
    return await anext(bursts)
