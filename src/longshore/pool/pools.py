"""Every database of the configuration, its pools, and the clients that use them (shell)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from longshore.pool.cache.attach import attach_cache, change_rules, join_cache
from longshore.pool.cache.model import CacheRules
from longshore.pool.cache.read_cache import ReadCache
from longshore.pool.clients.limits import ClientLimits
from longshore.pool.clients.starting import Starting
from longshore.pool.declared import Declared, Wanted
from longshore.pool.failures import disabled, no_such_database, shutting_down
from longshore.pool.gate import Gate
from longshore.pool.pool import Pool
from longshore.pool.refusals import PoolRefused
from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.key_cache import KeyCache
from longshore.proto.postgres.errors import error_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from longshore.pool.clients.connection import Cancels, ClientConnection
    from longshore.pool.model import Database
    from longshore.pool.servers.dialing import ServerDialer

__all__ = ["Pools"]

_LOOK_EVERY_S = 30.0
_UNUSED_S = 300.0
"""A pool that somebody may never ask for again is dropped when nobody used it for so long."""
_GRACE_LOOK_S = 0.02


class Pools:
    """All pools of a process; made inside the running loop.

    Args:
        databases: as configured.
        dialer: opens the connections.
        on_pin: is told of every pin: the pool, the session, the reason, the statement that caused it.
        limits: how many clients may come.
        read_cache: for the databases whose reads are cached; None: one in memory, of the usual size.
        is_noting: whether what is written counts for the cache although no database here is cached: others are, that
            share ``read_cache``.
    """

    def __init__(
        self,
        databases: Sequence[Database],
        *,
        dialer: ServerDialer = DIRECT,
        on_pin: Callable[[Pool, int, str, str], None] = lambda *_: None,
        limits: ClientLimits | None = None,
        read_cache: ReadCache | None = None,
        is_noting: bool = False,
    ) -> None:
        self.read_cache = read_cache or ReadCache(monotonic)
        self.clients: dict[int, ClientConnection] = {}
        """Everyone who is logged in, by session."""
        self.starting = Starting()
        """Connections of those who are not."""
        self.cancels: Cancels = {}
        self.gate = Gate()
        """What the operator has stopped."""
        self.limits = limits or ClientLimits()
        self.refusals: Counter[str] = Counter()
        """Logins that were refused, by SQLSTATE."""
        self.keys = KeyCache()
        self._declared = Declared(databases)
        self._is_noting = is_noting
        self._dialer = dialer
        self._on_pin = on_pin
        self._pools: dict[Wanted, Pool] = {}
        self._found: dict[tuple[str, str], Pool] = {}  # by the names that a client gave
        self._retired: list[Pool] = []  # of databases that are configured no longer; their clients may stay
        self._by_pool: Counter[Pool] = Counter()
        self._by_database: Counter[str] = Counter()
        self._by_user: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._warm_up()

    @property
    def databases(self) -> Mapping[str, Database]:
        """What is configured, by the name that clients use."""
        return self._declared.databases

    def pools(self) -> Iterable[Pool]:
        """Return all pools."""
        return (*self._pools.values(), *self._retired)

    def find(self, database: str, user: str) -> Pool:
        """Return the pool for a client.

        Raises:
            PoolRefused: there is none.
        """
        if self._is_closing:
            raise PoolRefused(shutting_down())
        found = self._found.get((database, user))
        if found is not None and database not in self.gate.disabled:
            return found
        wanted = self._declared.wanted(database, user)
        if wanted is None:
            raise PoolRefused(no_such_database(database))
        if database in self.gate.disabled:
            raise PoolRefused(disabled(database))
        pool = self._pools.get(wanted)
        found = self._found[database, user] = pool if pool is not None else self._make(wanted)
        return found

    def declared_name(self, database: str) -> str:
        """Return the name in the configuration of what a client calls a database: perhaps ``*``."""
        return self._declared.name(database)

    def judge_crowd(self) -> None:
        """Refuse a client of whom nothing is known when there is no room for anybody.

        Raises:
            PoolRefused: there is none.
        """
        _judge(len(self.clients), self.limits.clients, "the pool")

    def judge_room(self, database: str, user: str) -> None:
        """Refuse a client for whom there is no room; others may have come since ``judge_crowd``.

        Args:
            database: as it named it.
            user: who it is; it has proved that, as strangers are not to learn who has how many clients.

        Raises:
            PoolRefused: there is none.
        """
        self.judge_crowd()
        limits = self.limits
        if limits.per_database is not None:
            _judge(self._by_database[database], limits.per_database, f'database "{database}"')
        if limits.per_user is not None:
            _judge(self._by_user[user], limits.per_user, f'user "{user}"')

    def add_client(self, client: ClientConnection) -> None:
        """Note that somebody has logged in."""
        self.clients[client.session_id] = client
        self.cancels[client.login.key] = client
        self._count(client, 1)

    def remove_client(self, client: ClientConnection) -> None:
        """Note that it has gone."""
        if self.clients.pop(client.session_id, None) is not None:
            self.cancels.pop(client.login.key, None)
            self._count(client, -1)

    def reload(self, databases: Sequence[Database]) -> None:
        """Go on with these.

        Rules hold at once. Where a target has changed, its old server connections are used for no other transaction.
        A database that is not there any more lets nobody in; who is in it may stay. No client is dropped.
        """
        self._declared = Declared(databases)
        self._found.clear()
        former, self._pools = self._pools, {}
        for old, pool in former.items():
            wanted = self._declared.again(old)
            if wanted is None or wanted in self._pools:
                pool.set_rules(replace(pool.state.rules, min_idle=0))
                pool.close_idle()
                self._retired.append(pool)
                continue
            self._pools[wanted] = pool
            pool.retarget(wanted.target, is_own_account=wanted.is_own_account)
            pool.set_rules(wanted.declared.rules)
            change_rules(pool, wanted.declared.cache)
            pool.mode = wanted.declared.mode
        self._note_writes()
        self._warm_up()

    async def aclose(self, grace_s: float = 0.0) -> None:
        """Let nobody in, and close every connection.

        Args:
            grace_s: so long may clients go on that are in the middle of a transaction.

        Cancellation: closes what is left at the next call.
        """
        self._is_closing = True
        self.starting.close()
        if self._timer is not None:
            self._timer.cancel()
        deadline = monotonic() + grace_s
        while self.clients and monotonic() < deadline:
            for client in list(self.clients.values()):
                if client.is_at_rest:
                    client.end(shutting_down())
            await asyncio.sleep(_GRACE_LOOK_S)
        for client in (*self.clients.values(), *self.starting):
            client.abort()
        await asyncio.sleep(0)
        for pool in self.pools():
            await pool.aclose()

    # -- pools come and go -----------------------------------------------------------------------

    def _hear_of_pins(self, pool: Pool) -> None:
        """Tell of the pins of a pool, which counts them itself."""
        count = pool.shared.on_pin

        def tell(session_id: int, reason: str, statement: str) -> None:
            count(session_id, reason, statement)
            self._on_pin(pool, session_id, reason, statement)

        pool.shared.on_pin = tell

    def _make(self, wanted: Wanted) -> Pool:
        declared = wanted.declared
        pool = Pool(wanted.target, declared.rules, dialer=self._dialer, keys=self.keys)
        pool.opener.is_own_account = wanted.is_own_account
        pool.name, pool.mode = wanted.database, declared.mode
        if self.gate.is_paused(wanted.database):
            pool.pause()
        self._hear_of_pins(pool)
        pool.shared.on_database_wanted = self._close_idle
        if self._has_cache:
            attach_cache(pool, self.read_cache, declared.cache, name=declared.name)
        self._pools[wanted] = pool
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
        return pool

    @property
    def _has_cache(self) -> bool:
        """Whether a pool needs one: be it to tell those who have results of the same database of its writes."""
        wanted = (each.cache for each in self.databases.values())
        return self._is_noting or any(each.is_enabled or each.is_on_request for each in wanted)

    def _note_writes(self) -> None:
        """Give pools a cache that were made when there was none."""
        bare = [each for each in self.pools() if each.shared.cache is None] if self._has_cache else ()
        rules = {pool: wanted.declared.cache for wanted, pool in self._pools.items()}
        for pool in bare:
            attach_cache(pool, self.read_cache, rules.get(pool, CacheRules()), name=pool.name)
            join_cache(pool, [each for each in self.clients.values() if each.pool is pool])

    def _warm_up(self) -> None:
        """Open what is to be open although nobody has asked for it."""
        for wanted in self._declared.fixed():
            if wanted.declared.rules.min_idle:
                (self._pools.get(wanted) or self._make(wanted)).warm_up()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
        self.drop_unused(_UNUSED_S)

    def drop_unused(self, unused_s: float) -> None:
        """Forget the pools that nobody has used for so long, as far as nothing in the configuration names them."""
        fixed = set(self._declared.fixed())
        for wanted, pool in list(self._pools.items()):
            if wanted not in fixed and self._is_unused(pool, unused_s):
                del self._pools[wanted]
                self._found.clear()
                pool.close()
        for pool in [each for each in self._retired if self._is_unused(each, 0.0)]:
            self._retired.remove(pool)
            pool.close()

    def _is_unused(self, pool: Pool, unused_s: float) -> bool:
        if self._by_pool[pool] or pool.is_busy:
            return False
        # Of a database that nobody could log in to, with a name that a client thought of, nothing is worth keeping.
        return pool.parameters is None or monotonic() >= pool.asked_at + unused_s

    def _count(self, client: ClientConnection, change: int) -> None:
        for counter, key in (
            (self._by_pool, client.pool),
            (self._by_database, client.login.database),
            (self._by_user, client.login.user),
        ):
            counter[key] += change  # type: ignore[index]  # each counter has keys of its own
            if not counter[key]:  # type: ignore[index]  # likewise
                del counter[key]

    def _close_idle(self, database: str) -> None:
        """Leave a database to which nobody may be connected for a while."""
        for pool in self.pools():
            if pool.target.database == database:
                pool.close_idle()


def _judge(count: int, limit: int | None, whose: str) -> None:
    if limit is None or count < limit:
        return
    detail = f"{whose} has {count} clients, and may have {limit}"
    hint = "close clients that are not used, or raise the limit in the pool's configuration"
    raise PoolRefused(error_response("FATAL", "53300", "sorry, too many clients already", detail=detail, hint=hint))
