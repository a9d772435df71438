"""A pool gets its read cache (shell)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from longshore.pool.cache.pool_cache import Account, PoolCache
from longshore.pool.cache.refresh import Refresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.cache.model import CacheRules, Reason
    from longshore.pool.cache.question import Flight, Question
    from longshore.pool.cache.read_cache import ReadCache
    from longshore.pool.pool import Pool

__all__ = ["attach_cache", "change_rules"]

_log = logging.getLogger("longshore.pool.cache")


def attach_cache(pool: Pool, cache: ReadCache, rules: CacheRules, *, name: str) -> PoolCache:
    """Let the sessions of a pool ask the cache first; call it before the first session begins.

    Args:
        pool: whose.
        cache: of the process; pools of the same database must have the same one, or writes of one are not known to
            the other.
        rules: of the database.
        name: of the database as clients know it.
    """
    outside = _Outside(pool, cache, name)
    made = PoolCache(cache, rules, name=name, account=_account(pool), shared=pool.shared, outside=outside)
    outside.pool_cache = made
    pool.shared.cache = made
    return made


def change_rules(pool: Pool, rules: CacheRules) -> None:
    """Take other rules, and that the pool may go somewhere else now.

    A pool that had no cache gets none: what its sessions wrote is not known.
    """
    made = pool.shared.cache
    if made is not None:
        made.rules = rules
        made.move(_account(pool))


def _account(pool: Pool) -> Account:
    target = pool.target
    return Account((target.host, target.port, target.database), target.user)


class _Outside:
    """What the cache cannot do itself."""

    pool_cache: PoolCache

    def __init__(self, pool: Pool, cache: ReadCache, name: str) -> None:
        self._pool = pool
        self._cache = cache
        self._name = name
        self._loop = asyncio.get_running_loop()

    def later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call something later."""
        return self._loop.call_later(delay_s, callback)

    def refresh(self, question: Question, flight: Flight) -> None:
        """Fetch a newer result."""
        Refresh(self._pool, self.pool_cache, question, flight, self._loop).start()

    def note(self, reason: Reason, text: str, hit_bytes: int, ignored: str) -> None:
        """Count a read."""
        self._pool.statistics.cache[reason.value] += 1
        self._cache.statements.note(self._name, text, reason, hit_bytes, ignored)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "%s: %s: %s%s", self._name, reason.value, text[:200], f" (ignored: {ignored})" if ignored else ""
            )

    def publish(self, written: frozenset[int] | None, on_done: Callable[[], None]) -> bool:
        """Tell other machines, if there are any."""
        remote = self._cache.remote
        return remote is not None and remote.publish(self.pool_cache.account.place, written, on_done)
