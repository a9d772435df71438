"""SHOW DATABASES and SHOW POOLS (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.admin.table import Column, Table, micros, of_second
from longshore.pool.admin.values import Type
from longshore.pool.cache.model import Reason
from longshore.pool.inspection.model import ClientState, DatabaseInfo, PoolInfo, ServerState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DATABASES", "POOLS"]

_TEXT, _INT = Type.TEXT, Type.INT8
_HITS: Final = tuple(reason.value for reason in (Reason.HIT, Reason.STALE, Reason.SHARED))


def _clients(*states: ClientState) -> Callable[[PoolInfo], int]:
    return lambda pool: sum(pool.clients.get(state, 0) for state in states)


def _servers(*states: ServerState) -> Callable[[PoolInfo], int]:
    return lambda pool: sum(pool.servers.get(state, 0) for state in states)


def _counts() -> tuple[Column[PoolInfo], ...]:
    """Return what was counted for one pool; SHOW STATS adds up those of a database."""
    return (
        Column("xact_count", _INT, "Transactions, since the start.", lambda p: p.statistics.transactions),
        Column("query_count", _INT, "Queries, since the start.", lambda p: p.statistics.queries),
        Column("bytes_received", _INT, "Bytes from clients, since the start.", lambda p: p.statistics.client_bytes),
        Column("bytes_sent", _INT, "Bytes from servers, since the start.", lambda p: p.statistics.server_bytes),
        Column(
            "query_time",
            _INT,
            "Microseconds that servers worked for clients, since the start.",
            lambda p: micros(p.statistics.busy_s - p.statistics.idle_in_transaction_s),
        ),
        Column(
            "wait_time",
            _INT,
            "Microseconds that clients waited for a server connection, since the start.",
            lambda p: micros(p.statistics.wait_s),
        ),
        Column("wait_count", _INT, "Times that a client had to wait, since the start.", lambda p: p.statistics.waited),
        Column(
            "cache_reads",
            _INT,
            "Reads that the cache was asked for, since the start.",
            lambda p: p.statistics.cache.total(),
        ),
        Column(
            "cache_hits",
            _INT,
            "How many of them needed no server connection.",
            lambda p: sum(p.statistics.cache[reason] for reason in _HITS),
        ),
    )


DATABASES: Final[Table[DatabaseInfo]] = Table(
    "DATABASES",
    "One row per database of the configuration.",
    (
        Column("name", _TEXT, "As clients name it; `*` stands for every other name.", lambda d: d.name),
        Column("host", _TEXT, "Where it is: a host, or the folder of a Unix socket.", lambda d: d.host),
        Column("port", _INT, "Its port.", lambda d: d.port),
        Column("database", _TEXT, "Its name there; empty: the one that the client names.", lambda d: d.database),
        Column(
            "force_user", _TEXT, "The account that logs in there; NULL: the client's own.", lambda d: d.user or None
        ),
        Column("pool_size", _INT, "Server connections per pool, at most.", lambda d: d.size),
        Column("min_pool_size", _INT, "Kept open although nobody needs them.", lambda d: d.min_idle),
        Column("reserve_pool", _INT, "Always 0: there is no reserve.", lambda _: 0),
        Column("pool_mode", _TEXT, "`transaction` or `session`.", lambda d: d.mode.value),
        Column("max_connections", _INT, "Always 0: the size of each pool is the only limit.", lambda _: 0),
        Column("current_connections", _INT, "Server connections of all its pools now.", lambda d: d.servers),
        Column("paused", _INT, "1 after PAUSE, until RESUME.", lambda d: int(d.is_paused)),
        Column("disabled", _INT, "1 after DISABLE, until ENABLE.", lambda d: int(d.is_disabled)),
        Column("clients", _INT, "Clients of all its pools now.", lambda d: d.clients),
        Column("cache", _INT, "1 when reads are cached.", lambda d: int(d.is_cached)),
    ),
)

POOLS: Final[Table[PoolInfo]] = Table(
    "POOLS",
    "One row per pool: a database as one account.",
    (
        Column("database", _TEXT, "As clients name it.", lambda p: p.database),
        Column("user", _TEXT, "The account that logs in at the database.", lambda p: p.user),
        Column(
            "cl_active",
            _INT,
            "Clients that do not wait for a server connection: the four `cl_…` columns at the end.",
            lambda p: sum(p.clients.values()) - p.clients.get(ClientState.WAITING, 0),
        ),
        Column("cl_waiting", _INT, "Clients that wait for one.", _clients(ClientState.WAITING)),
        Column("cl_active_cancel_req", _INT, "Always 0: a cancel waits for nothing.", lambda _: 0),
        Column("cl_waiting_cancel_req", _INT, "Always 0.", lambda _: 0),
        Column("sv_active", _INT, "Server connections that a client has.", _servers(ServerState.ACTIVE)),
        Column("sv_active_cancel", _INT, "Always 0.", lambda _: 0),
        Column("sv_being_canceled", _INT, "Always 0.", lambda _: 0),
        Column("sv_idle", _INT, "Server connections that nobody has.", _servers(ServerState.IDLE)),
        Column("sv_used", _INT, "Always 0: a connection is idle as soon as it is given back.", lambda _: 0),
        Column("sv_tested", _INT, "Server connections that are asked whether they work.", _servers(ServerState.TESTED)),
        Column("sv_login", _INT, "Server connections that are being opened.", _servers(ServerState.LOGIN)),
        Column("maxwait", _INT, "Seconds that the client has waited that waits longest.", lambda p: int(p.max_wait_s)),
        Column("maxwait_us", _INT, "The microseconds of it.", lambda p: of_second(p.max_wait_s)),
        Column("pool_mode", _TEXT, "`transaction` or `session`.", lambda p: p.mode.value),
        Column("cl_running", _INT, "Clients that a server works for.", _clients(ClientState.ACTIVE)),
        Column(
            "cl_idle_in_transaction",
            _INT,
            "Clients that hold a server connection which waits for them.",
            _clients(ClientState.IDLE_IN_TRANSACTION),
        ),
        Column(
            "cl_pinned",
            _INT,
            "Clients that keep a server connection outside transactions.",
            _clients(ClientState.PINNED),
        ),
        Column("cl_idle", _INT, "Clients that have and need none.", _clients(ClientState.IDLE)),
        Column("size", _INT, "Server connections, at most.", lambda p: p.size),
        Column("paused", _INT, "1 after PAUSE, until RESUME.", lambda p: int(p.is_paused)),
        Column(
            "last_error",
            _TEXT,
            "Why the last login at the database failed; empty when it did not.",
            lambda p: p.last_error,
        ),
        Column(
            "max_wait_time", _INT, "Microseconds: `maxwait` and `maxwait_us` in one.", lambda p: micros(p.max_wait_s)
        ),
        *_counts(),
    ),
)
