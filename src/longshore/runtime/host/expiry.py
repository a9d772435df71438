"""``ExpiryWatch``: a certificate that comes near its end while a host runs is told of (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from longshore.runtime.host.credentials import credential_notices
from longshore.runtime.host.cron_timer import wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from longshore.config.model import Notice, WorkerConfig
    from longshore.credentials.store import CredentialStore

__all__ = ["ExpiryWatch"]

DAY_S: Final = 86_400.0


class ExpiryWatch:
    """Looks at the certificates of a configuration once a day; made inside the running loop.

    Args:
        store: the credentials.
        on_notice: called with everything that an operator should know, each day anew.
        clock: tells the time in UTC.
        every_s: how often to look.
    """

    def __init__(
        self,
        store: CredentialStore,
        on_notice: Callable[[Notice], None],
        *,
        clock: Callable[[], datetime] = wall_clock,
        every_s: float = DAY_S,
    ) -> None:
        self._store = store
        self._on_notice = on_notice
        self._clock = clock
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._config: WorkerConfig | None = None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, config: WorkerConfig, *, is_told: bool) -> None:
        """Watch the certificates that ``config`` names, and no others.

        Args:
            config: the one that is in force now.
            is_told: somebody says already what there is to say of today.
        """
        self.close()
        self._config = config
        if is_told:
            self._wait()
        else:
            self._look()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        assert self._config is not None
        for notice in credential_notices(self._config, self._store, self._clock()):
            self._on_notice(notice)
        self._wait()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(self._every_s, self._look)
