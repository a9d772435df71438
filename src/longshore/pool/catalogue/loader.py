"""Keeps a pool's picture of its database's catalogue fresh (shell).

Theory of operation. Nothing happens until somebody asks for the catalogue in vain: a pool whose sessions have no use
for it never reads it. Then the loader waits for a server connection like any session, is a session on it (so that no
setting of another one is in its way), and reads. The picture holds for the pool's ``epoch`` at the moment when the
query was sent: a statement that changes the catalogue through this pool outdates it at once. What is changed past the
pool is seen at the next look, every minute: a look asks for a fingerprint, and for everything when that has
changed. A picture that could not be looked after in time is taken away, and so is one that nobody has used since the
last look.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.pool.catalogue.catalogue import Catalogue
from longshore.pool.catalogue.reader import CatalogueReader

if TYPE_CHECKING:
    from longshore.pool.catalogue.reader import Reading
    from longshore.pool.pool import Pool

__all__ = ["CatalogueLoader"]

_log = logging.getLogger("longshore.pool.catalogue")
_FAILED: Final = (
    "the catalogue of database %s cannot be read as %s (%s); until it can, no result is cached, and every function of"
    " a user costs a question"
)
_INTERVAL_S = 60.0
"""So long may the pool not know what was changed past it."""
_PAUSE_S: Final = 0.05
"""A migration is many statements."""
_PAUSE_FACTOR: Final = 4.0
"""So many times as long as a look took there is none after it."""
_MAX_BACK_OFF_S: Final = 60.0


class CatalogueLoader:
    """Of one pool; made inside the running loop.

    Args:
        pool: whose; its ``shared`` gets the catalogue.
    """

    def __init__(self, pool: Pool) -> None:
        self.failure: str | None = None
        """Why there is none."""
        self.loads = 0
        """How often everything was read."""
        self.load_s = 0.0
        """How long that took the last time."""
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._reader: CatalogueReader | None = None
        self._took_s = self._ended_at = 0.0
        self._failures = 0
        self._is_wanted = False
        self._look_timer: asyncio.TimerHandle | None = None
        self._drop_timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        pool.shared.on_catalogue_wanted = self.want

    @property
    def is_busy(self) -> bool:
        """True while it waits for a connection, or for an answer."""
        return self._reader is not None

    def want(self) -> None:
        """Read it soon; idempotent."""
        if not (self._is_closed or self.is_busy or self._is_wanted):
            self._is_wanted = True
            self._look_in(self._pause_s())

    def close(self) -> None:
        """Read no more; idempotent."""
        self._is_closed = True
        for timer in (self._look_timer, self._drop_timer):
            if timer is not None:
                timer.cancel()
        if self._reader is not None:
            self._reader.close()

    def refresh(self) -> None:
        """Look whether everything is as it was, unless nobody has asked since the last time."""
        self._look_timer = None
        if self._is_closed or self.is_busy:
            return
        shared = self._pool.shared
        catalogue = shared.catalogue
        if catalogue is not None and not self._is_wanted:
            if not catalogue.is_used:
                shared.catalogue = None
                return
            catalogue.is_used = False
            self._drop_timer = self._loop.call_later(_INTERVAL_S, self._drop)
        self._is_wanted = False
        known = catalogue.names.head if catalogue is not None else None
        self._reader = CatalogueReader(self._pool, known, self._on_read, self._on_failed)
        self._reader.begin()

    def _pause_s(self) -> float:
        if self._failures:
            return float(min(_PAUSE_S * 2**self._failures, _MAX_BACK_OFF_S))
        if not self.loads:
            return 0.0
        return max(_PAUSE_S, self._ended_at + _PAUSE_FACTOR * self._took_s - monotonic())

    def _look_in(self, delay_s: float) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._look_timer = self._loop.call_later(delay_s, self.refresh)

    def _drop(self) -> None:
        """Give up a picture that nobody could look after."""
        self._drop_timer = None
        self._pool.shared.catalogue = None

    def _on_read(self, reading: Reading) -> None:
        shared = self._pool.shared
        self._end()
        self._took_s = reading.took_s
        self._failures, self.failure = 0, None
        if reading.names is not None:
            self.loads += 1
            self.load_s = reading.took_s
            shared.catalogue = Catalogue(reading.names, reading.epoch)
        elif shared.catalogue is not None:
            shared.catalogue.epoch = reading.epoch
        if not self._is_closed:
            self._look_in(_INTERVAL_S)

    def _on_failed(self, reason: str) -> None:
        """There is no catalogue for now; whoever wants it makes us try again."""
        self._end()
        if self.failure is None and not self._is_closed:
            _log.warning(_FAILED, self._pool.name, self._pool.target.user, reason)
        self.failure = reason
        self._failures = min(self._failures + 1, 10)
        self._pool.shared.catalogue = None

    def _end(self) -> None:
        self._reader = None
        self._ended_at = monotonic()
        if self._drop_timer is not None:
            self._drop_timer.cancel()
            self._drop_timer = None
