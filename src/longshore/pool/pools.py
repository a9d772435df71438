"""Every database of the configuration, its pools, and the clients that use them (shell)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from longshore.pool.cache.attach import attach_cache, change_rules
from longshore.pool.cache.read_cache import ReadCache
from longshore.pool.clients.limits import ClientLimits
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
    """

    def __init__(
        self,
        databases: Sequence[Database],
        *,
        dialer: ServerDialer = DIRECT,
        on_pin: Callable[[Pool, int, str, str], None] = lambda *_: None,
        limits: ClientLimits | None = None,
        read_cache: ReadCache | None = None,
    ) -> None:
        self.read_cache = read_cache or ReadCache(monotonic)
        self.clients: dict[int, ClientConnection] = {}
        """Everyone who is logged in, by session."""
        self.starting: set[object] = set()
        """Connections of those who are not."""
        self.cancels: Cancels = {}
        self.gate = Gate()
        """What the operator has stopped."""
        self.limits = limits or ClientLimits()
        self.refusals: Counter[str] = Counter()
        """Logins that were refused, by SQLSTATE."""
        self.keys = KeyCache()
        self._declared = Declared(databases)
        self._dialer = dialer
        self._on_pin = on_pin
        self._pools: dict[Wanted, Pool] = {}
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
        wanted = self._declared.wanted(database, user)
        if wanted is None:
            raise PoolRefused(no_such_database(database))
        if database in self.gate.disabled:
            raise PoolRefused(disabled(database))
        pool = self._pools.get(wanted)
        return pool if pool is not None else self._make(wanted)

    def judge_room(self, database: str, user: str) -> None:
        """Refuse a client for whom there is no room.

        Raises:
            PoolRefused: there is none.
        """
        limits = self.limits
        for count, limit, whose in (
            (len(self.clients), limits.clients, "the pool"),
            (self._by_database[database], limits.per_database, f'database "{database}"'),
            (self._by_user[user], limits.per_user, f'user "{user}"'),
        ):
            if limit is not None and count >= limit:
                detail = f"{whose} has {count} clients, and may have {limit}"
                hint = "close clients that are not used, or raise the limit in the pool's configuration"
                raise PoolRefused(
                    error_response("FATAL", "53300", "sorry, too many clients already", detail=detail, hint=hint)
                )

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
        self._warm_up()

    async def aclose(self, grace_s: float = 0.0) -> None:
        """Let nobody in, and close every connection.

        Args:
            grace_s: so long may clients go on that are in the middle of a transaction.

        Cancellation: closes what is left at the next call.
        """
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        deadline = monotonic() + grace_s
        while self.clients and monotonic() < deadline:
            for client in list(self.clients.values()):
                if client.is_at_rest:
                    client.end(shutting_down())
            await asyncio.sleep(_GRACE_LOOK_S)
        for client in list(self.clients.values()):
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
        if declared.cache.is_enabled or declared.cache.is_on_request:
            attach_cache(pool, self.read_cache, declared.cache, name=declared.name)
        self._pools[wanted] = pool
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
        return pool

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
                pool.close()
        for pool in [each for each in self._retired if self._is_unused(each, 0.0)]:
            self._retired.remove(pool)
            pool.close()

    def _is_unused(self, pool: Pool, unused_s: float) -> bool:
        return not self._by_pool[pool] and not pool.is_busy and monotonic() >= pool.asked_at + unused_s

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
