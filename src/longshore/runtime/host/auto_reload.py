"""Turns changed files into reloads, and a changed configuration file into a new configuration (shell)."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING

from longshore.runtime.host.events import ConfigRejected, ConfigReloaded, WatchFailed
from longshore.runtime.host.watch import is_config, watch_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.config.model import WorkerConfig
    from longshore.runtime.host.events import EventSink

__all__ = ["AutoReload"]


class AutoReload:
    """Watches the files of one worker.

    Args:
        config: says what to watch; later the configuration that was loaded last.
        load: loads the configuration anew; None: changes of its file are changes like others.
        reload: called with the new configuration, if there is one, and the files that changed.
        sink: is told of new and of wrong configurations.
    """

    def __init__(
        self,
        config: WorkerConfig,
        load: Callable[[], WorkerConfig] | None,
        reload: Callable[[WorkerConfig | None, tuple[str, ...]], None],
        sink: EventSink,
    ) -> None:
        self._config = config
        self._load = load
        self._reload = reload
        self._sink = sink

    async def run(self) -> None:
        """Reload for every burst of changes, until there is nothing to watch.

        Cancellation: safe; ends the watching.
        """
        watched = None
        while watched != (watched := (self._config.watch, self._config.file)):
            try:
                await self._watch(*watched)
            except (OSError, RuntimeError) as exc:  # watchfiles passes on what the kernel says in either
                self._sink(WatchFailed(str(exc)))

    def ask(self) -> None:
        """Reload although nothing changed, with the configuration as it is on disk."""
        if self._load is None:
            self._reload(None, ())
        elif (config := self._load_anew(self._load)) is not None:
            self._reload(config, ())

    async def _watch(self, folders: tuple[str, ...], file: str | None) -> None:
        async with aclosing(watch_files(folders, file)) as bursts:
            async for paths in bursts:
                self._take(paths)
                if (self._config.watch, self._config.file) != (folders, file):
                    return

    def _take(self, paths: tuple[str, ...]) -> None:
        """Reload because of these files."""
        config = None
        if self._load is not None and any(map(self._is_config, paths)):
            config = self._load_anew(self._load)
            if config is None:
                paths = tuple(path for path in paths if not self._is_config(path))
        if paths:
            self._reload(config, paths)

    def _load_anew(self, load: Callable[[], WorkerConfig]) -> WorkerConfig | None:
        try:
            self._config = load()
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with the file, the old configuration goes on
            self._sink(ConfigRejected(exc))
            return None
        self._sink(ConfigReloaded(self._config))
        return self._config

    def _is_config(self, path: str) -> bool:
        return path == self._config.file or is_config(os.path.basename(path))
