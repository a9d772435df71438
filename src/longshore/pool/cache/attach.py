"""A pool gets its read cache (shell)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from longshore.pool.cache.pool_cache import Account, PoolCache
from longshore.pool.cache.refresh import Refresh
from longshore.pool.cache.writes import PendingWrites
from longshore.proto.postgres.constants import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.pool.cache.model import CacheRules, Reason
    from longshore.pool.cache.question import Flight, Question
    from longshore.pool.cache.read_cache import ReadCache
    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.pool import Pool

__all__ = ["attach_cache", "change_rules", "clear_cache", "join_cache"]

_log = logging.getLogger("longshore.pool.cache")


def attach_cache(pool: Pool, cache: ReadCache, rules: CacheRules, *, name: str) -> PoolCache:
    """Let the sessions of a pool ask the cache first; see ``join_cache`` for those that have begun.

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
    """Take other rules, and that the pool may go somewhere else now; without a cache nothing happens."""
    made = pool.shared.cache
    if made is not None:
        made.rules = rules
        made.move(_account(pool))


def join_cache(pool: Pool, clients: Iterable[ClientConnection]) -> None:
    """Have sessions that are under way ask the cache that was attached just now.

    Args:
        pool: whose cache it is.
        clients: of the pool.
    """
    cache = pool.shared.cache
    assert cache is not None
    cache.clear(lambda: None)  # what was kept for another pool may be older than what was written through this one
    for client in clients:
        client.join_cache()
    for server in pool.servers().values():
        memory = server.memory
        if not memory.relay.is_idle or memory.relay.status is not TransactionStatus.IDLE:
            memory.writes = memory.writes or PendingWrites(pool.shared.epoch)  # nobody has noted what it was told
            memory.writes.add(None, changes_catalogue=True)


async def clear_cache(cache: PoolCache) -> None:
    """End all results of a database, on all machines.

    Cancellation: safe; they end all the same.
    """
    told = asyncio.Event()
    if cache.clear(told.set):
        await told.wait()


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
