"""A pool with a read cache, a clock that the test moves, and a catalogue that the test knows."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, cast

from longshore.pool.cache.model import CacheRules, Reason
from longshore.pool.cache.read_cache import ReadCache
from longshore.pool.catalogue.plan import ReadPlan
from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.model import Database
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target, TlsMode, UpstreamTls
from longshore.pool.slots.model import Rules
from longshore.proto.postgres.constants import BackendType
from longshore.sql.builtins import BUILTIN_FUNCTIONS
from longshore.sql.facts import Kind, Statement, TextFacts
from tests.pool.rig import HOST, PoolRig, RawSession, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.cache.redis_store import RedisStore
    from longshore.pool.catalogue.catalogue import Catalogue
    from longshore.pool.pool import Pool
    from longshore.pool.session.shared import PoolShared

__all__ = ["CacheRig", "Clock", "KnownTables", "cached_pool", "rows", "session"]

_EFFECTLESS = frozenset({Kind.READ, Kind.SHOW, Kind.FETCH, Kind.COPY_OUT, Kind.DECLARE})
_VOLATILE = frozenset({"now", "random", "nextval", "clock_timestamp"})


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class KnownTables:
    """A catalogue of tables ``a`` … ``z`` in ``public`` whose object ids are the codes of their names."""

    def __init__(self, shared: PoolShared) -> None:
        self._shared = shared
        self.is_used = True

    @property
    def epoch(self) -> int:
        """It is never outdated."""
        return self._shared.epoch

    def search_path(self, settings: Mapping[str, str]) -> tuple[str, ...]:
        return ("elsewhere",) if "search_path" in settings else ("public",)

    def read_plan(self, statement: Statement, search_path: tuple[str, ...]) -> ReadPlan | Reason:
        if {name for _, name in statement.functions} & _VOLATILE or statement.has_clock_literal:
            return Reason.VOLATILE
        if any(len(name) != 1 for _, name in statement.reads):
            return Reason.UNKNOWN_NAME
        return ReadPlan(frozenset(ord(name) for _, name in statement.reads))

    def written(
        self, statement: Statement, search_path: tuple[str, ...], *, has_temporary: bool = False
    ) -> frozenset[int] | None:
        if statement.kind in _EFFECTLESS and all(name in BUILTIN_FUNCTIONS for _, name in statement.functions):
            return frozenset()
        if statement.kind in (Kind.WRITE, Kind.COPY_IN):
            return frozenset(ord(name) for _, name in statement.writes)
        return None

    def changes_catalogue(self, facts: TextFacts, search_path: object = None) -> bool:
        return facts.changes_catalogue

    def leaves_nothing(self, facts: TextFacts, search_path: object) -> bool:
        return False


class CacheRig(PoolRig):
    """A listening pool with a cache."""

    def __init__(self, pools: Pools, clock: Clock) -> None:
        super().__init__(pools)
        self.clock = clock

    @property
    def cache(self) -> PoolCache:
        """Of the only pool."""
        assert self.pool.shared.cache is not None
        return self.pool.shared.cache

    @property
    def store(self) -> RedisStore:
        """The store that is shared."""
        return cast("RedisStore", self.pools.read_cache.remote)

    def take_counts(self) -> dict[str, int]:
        """Return how many reads had which reason since the last call."""
        counts = dict(self.pool.statistics.cache)
        self.pool.statistics.cache.clear()
        return counts


def _know_tables(pool: Pool) -> None:
    pool.shared.on_catalogue_wanted = lambda: None
    pool.shared.catalogue = cast("Catalogue", KnownTables(pool.shared))


@asynccontextmanager
async def cached_pool(
    port: int,
    *,
    size: int = 4,
    database: str = "postgres",
    rules: CacheRules | None = None,
    max_bytes: int = 1 << 24,
    knows_tables: bool = True,
    remote: RedisStore | None = None,
) -> AsyncIterator[CacheRig]:
    """Run a pool with a cache, in memory if there is no other store."""
    # Without TLS, so that a test can see which answer it keeps back.
    target = Target(host=HOST, port=port, user="", database=database, tls=UpstreamTls(mode=TlsMode.DISABLE))
    clock = Clock()
    cache = ReadCache(clock if remote is None else monotonic, max_bytes, remote=remote)
    entry = Database(name="*", target=target, rules=Rules(size=size), cache=rules or CacheRules(is_enabled=True))
    pools = Pools([entry], read_cache=cache, on_pin=lambda _, __, reason, ___: rig.pins.append(reason))
    rig = CacheRig(pools, clock)
    if knows_tables:
        _know_at_once(pools)
    door = ClientDoor(pools=pools, on_login=rig.clients.append)
    server = await asyncio.get_running_loop().create_server(lambda: ClientStart(door), HOST, 0)
    rig.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            yield rig
    finally:
        await pools.aclose()
        await asyncio.sleep(0)


def _know_at_once(pools: Pools) -> None:
    find = pools.find

    def find_and_know(database: str, user: str) -> Pool:
        pool = find(database, user)
        if not isinstance(pool.shared.catalogue, KnownTables):
            _know_tables(pool)
        return pool

    pools.find = find_and_know  # type: ignore[method-assign]


async def rows(client: RawSession, text: str) -> list[bytes]:
    """Return the rows of a simple query as they came, or raise its error."""
    found = []
    for frame in await client.query(text):
        assert frame.type != BackendType.ErrorResponse, frame.raw
        if frame.type == BackendType.DataRow:
            found.append(frame.raw[11:])
    return found
