"""Look at the pools of a process (shell: reads live objects, changes nothing)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from longshore.pool.cache.model import CacheRules
from longshore.pool.inspection.model import (
    CacheInfo,
    ClientInfo,
    ClientState,
    DatabaseInfo,
    Endpoint,
    PoolInfo,
    ServerInfo,
    ServerState,
    Snapshot,
)
from longshore.pool.inspection.usage import Usage
from longshore.pool.slots.state import Phase
from longshore.proto.postgres.constants import TransactionStatus

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.model import Database
    from longshore.pool.pool import Pool
    from longshore.pool.pools import Pools
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.statistics import Statistics

__all__ = ["client_info", "copy_statistics", "pool_info", "server_infos", "snapshot", "usage_of"]

_STATES: Final = {
    Phase.OPENING: ServerState.LOGIN,
    Phase.IDLE: ServerState.IDLE,
    Phase.USED: ServerState.ACTIVE,
    Phase.PROBED: ServerState.TESTED,
    Phase.CLOSING: ServerState.CLOSING,
}


def snapshot(pools: Pools) -> Snapshot:
    """Return what there is now."""
    now = monotonic()
    clients: list[ClientInfo] = []
    of_pool: dict[Pool, list[ClientInfo]] = {pool: [] for pool in pools.pools()}
    for client in pools.clients.values():
        clients.append(client_info(client, now))
        of_pool.setdefault(client.pool, []).append(clients[-1])
    infos = tuple(pool_info(pool, its) for pool, its in of_pool.items())
    report = pools.read_cache.report()
    return Snapshot(
        databases=tuple(_database_info(each, infos, pools) for each in pools.databases.values()),
        pools=infos,
        clients=tuple(clients),
        servers=tuple(info for pool in of_pool for info in server_infos(pool, now)),
        caches=tuple(_cache_info(pool, pools) for pool in of_pool),
        cache_entries=report.entries or 0,
        cache_bytes=report.used_bytes or 0,
        cached_statements=tuple(report.statements),
    )


def client_info(client: ClientConnection, now: float) -> ClientInfo:
    """Return what one client does."""
    seen, pool, login = client.look(), client.pool, client.login
    server = seen.server
    state = _client_state(client)
    waits_since = pool.state.waits_since(client.session_id)
    if state is ClientState.WAITING:
        since = waits_since
    elif server is not None:
        since = pool.state.since(server.server_id)
    else:
        since = client.asked_at
    is_idle_in_transaction = state is ClientState.IDLE_IN_TRANSACTION
    return ClientInfo(
        client_id=client.session_id,
        pid=login.key[0],
        database=login.database,
        user=login.user,
        state=state,
        state_s=_age(now, since or client.connected_at),
        idle_in_transaction_s=_age(now, client.answered_at) if is_idle_in_transaction else 0.0,
        age_s=_age(now, client.connected_at),
        peer=_endpoint(seen.transport, "peername"),
        local=_endpoint(seen.transport, "sockname"),
        tls=_tls(seen.transport),
        application_name=seen.engine.parameters.get(b"application_name", b"").decode(errors="replace"),
        server_pid=server.memory.pid if server is not None else 0,
        server_id=server.server_id if server is not None else 0,
        prepared=len(seen.engine.extended.statements),
        pins=tuple(seen.engine.belongings.pins.items()),
    )


def _client_state(client: ClientConnection) -> ClientState:
    seen = client.look()
    if seen.server is None:
        return ClientState.WAITING if seen.is_queued else ClientState.IDLE
    relay = seen.server.memory.relay
    if relay.pending or not relay.is_idle:
        return ClientState.ACTIVE
    if relay.status is not TransactionStatus.IDLE:
        return ClientState.IDLE_IN_TRANSACTION
    return ClientState.PINNED if seen.engine.belongings.pins else ClientState.ACTIVE


def server_infos(pool: Pool, now: float) -> list[ServerInfo]:
    """Return the server connections of a pool, those that are being opened included."""
    return [_server_info(pool, server_id, phase, now) for server_id, phase in pool.state.servers()]


def _server_info(pool: Pool, server_id: int, phase: Phase, now: float) -> ServerInfo:
    server = pool.servers().get(server_id)
    state_s = _age(now, pool.state.since(server_id) or now)
    info = ServerInfo(
        server_id=server_id,
        database=pool.name,
        user=pool.target.user,
        state=_STATES[phase],
        state_s=state_s,
        age_s=state_s,
        peer=Endpoint(pool.target.host, pool.target.port),
        is_outdated=pool.state.is_outdated(server_id),
    )
    return info if server is None else _with_connection(info, server, now)


def _with_connection(info: ServerInfo, server: ServerConnection, now: float) -> ServerInfo:
    return replace(
        info,
        age_s=_age(now, server.connected_at),
        pid=server.memory.pid,
        peer=_endpoint(server.transport, "peername"),
        local=_endpoint(server.transport, "sockname"),
        tls=_tls(server.transport),
        client_id=getattr(server.holder, "session_id", 0),
        prepared=len(server.memory.prepared),
    )


def pool_info(pool: Pool, clients: Sequence[ClientInfo]) -> PoolInfo:
    """Return one pool.

    Args:
        pool: the pool.
        clients: its clients.
    """
    target = pool.target
    oldest = max((each.state_s for each in clients if each.state is ClientState.WAITING), default=0.0)
    error = pool.last_error
    return PoolInfo(
        database=pool.name,
        user=target.user,
        mode=pool.mode,
        size=pool.state.rules.size,
        clients=dict(Counter(each.state for each in clients)),
        servers={state: pool.state.count(phase) for phase, state in _STATES.items()},
        max_wait_s=oldest,
        is_paused=pool.state.is_paused,
        statistics=copy_statistics(pool.statistics),
        last_error=str(error) if error is not None else "",
    )


def usage_of(pool: Pool) -> Usage:
    """Return who has the connections of a pool."""
    now = monotonic()
    holders = [server.holder for server in pool.servers().values() if server.holder is not None]
    # Others are logins that are tried, and what cleans up behind a client.
    clients = tuple(client_info(cast("ClientConnection", each), now) for each in holders if hasattr(each, "look"))
    return Usage(
        size=pool.state.rules.size,
        open=len(pool.servers()),
        holders=clients,
        left=len(holders) - len(clients),
        waiting=pool.state.waiting,
        is_paused=pool.state.is_paused,
    )


def copy_statistics(statistics: Statistics) -> Statistics:
    """Return what was counted so far."""
    return replace(
        statistics,
        held=list(statistics.held),
        waits=list(statistics.waits),
        rejected=Counter(statistics.rejected),
        pins=Counter(statistics.pins),
        cache=Counter(statistics.cache),
    )


def _database_info(database: Database, pools: Sequence[PoolInfo], owner: Pools) -> DatabaseInfo:
    target, rules = database.target, database.rules
    mine = [pool for pool in pools if pool.database == database.name]
    return DatabaseInfo(
        name=database.name,
        host=target.host,
        port=target.port,
        database=target.database,
        user=target.user,
        size=rules.size,
        min_idle=rules.min_idle,
        mode=database.mode,
        servers=sum(sum(pool.servers.values()) for pool in mine),
        clients=sum(sum(pool.clients.values()) for pool in mine),
        is_paused=owner.gate.is_paused(database.name),
        is_disabled=database.name in owner.gate.disabled,
        is_cached=database.cache.is_enabled,
    )


def _cache_info(pool: Pool, owner: Pools) -> CacheInfo:
    database = owner.databases.get(pool.name) or owner.databases.get("*")
    return CacheInfo(
        database=pool.name,
        user=pool.target.user,
        rules=database.cache if database is not None else CacheRules(),
        reads=dict(pool.statistics.cache),
        catalogue_error=pool.catalogue.failure or "",
    )


def _age(now: float, since: float) -> float:
    return max(now - since, 0.0)


def _endpoint(transport: asyncio.BaseTransport, name: str) -> Endpoint:
    address = transport.get_extra_info(name)
    return Endpoint(str(address[0]), int(address[1])) if isinstance(address, tuple) else Endpoint("unix", 0)


def _tls(transport: asyncio.BaseTransport) -> str:
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return ""
    cipher = tls.cipher()
    return f"{tls.version()}/{cipher[0]}" if cipher else str(tls.version())
