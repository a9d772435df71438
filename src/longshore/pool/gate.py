"""What an operator has stopped: databases that are paused, and those that let nobody in (PURE)."""

from __future__ import annotations

__all__ = ["Gate"]


class Gate:
    """Names of databases, as clients write them; a pool that is made later is subject to them too."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()
        self._paused: set[str] = set()
        self._running: set[str] = set()  # in spite of a pause of all
        self._is_all_paused = False

    def is_paused(self, database: str) -> bool:
        """Return whether nothing is assigned in its pools."""
        return database in self._paused or (self._is_all_paused and database not in self._running)

    def pause(self, database: str | None) -> None:
        """Note a pause; None: of everything."""
        if database is None:
            self._is_all_paused = True
            self._running.clear()
        else:
            self._paused.add(database)
            self._running.discard(database)

    def resume(self, database: str | None) -> None:
        """Note its end."""
        if database is None:
            self._is_all_paused = False
            self._paused.clear()
            self._running.clear()
        else:
            self._paused.discard(database)
            self._running.add(database)
