"""What can be seen of the pools at one moment (PURE values); times are ages in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.pool.cache.model import CacheRules
    from longshore.pool.cache.report import StatementReport
    from longshore.pool.model import Mode
    from longshore.pool.statistics import Statistics

__all__ = [
    "CacheInfo",
    "ClientInfo",
    "ClientState",
    "DatabaseInfo",
    "Endpoint",
    "PinInfo",
    "PoolInfo",
    "ServerInfo",
    "ServerState",
    "Snapshot",
]


class ClientState(Enum):
    """What a client does; the value is what the admin database says."""

    IDLE = "idle"
    """It has no server connection and needs none."""
    WAITING = "waiting"
    """For a server connection."""
    ACTIVE = "active"
    """A server works on what it asked."""
    IDLE_IN_TRANSACTION = "idle in transaction"
    """It holds a server connection, and the server waits for it."""
    PINNED = "pinned"
    """It holds a server connection outside a transaction, for what it has there."""


class ServerState(Enum):
    """What a server connection does; the names are PgBouncer's."""

    LOGIN = "login"
    IDLE = "idle"
    ACTIVE = "active"
    """A client has it."""
    TESTED = "tested"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection; of a Unix socket ``unix`` and 0."""

    address: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """One client."""

    client_id: int
    """What ``KILL CLIENT`` takes."""
    pid: int
    """The process id that it was told."""
    database: str
    user: str
    state: ClientState
    state_s: float
    """How long it waits, or holds its server connection, or has asked for nothing."""
    idle_in_transaction_s: float
    """How long the server has been waiting for it; 0 in any other state."""
    age_s: float
    peer: Endpoint = Endpoint()
    local: Endpoint = Endpoint()
    tls: str = ""
    application_name: str = ""
    server_pid: int = 0
    """Of the server connection that it has; 0: none."""
    server_id: int = 0
    prepared: int = 0
    pins: tuple[tuple[str, str], ...] = ()
    """Reason and statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """One server connection."""

    server_id: int
    database: str
    user: str
    state: ServerState
    state_s: float
    age_s: float
    pid: int = 0
    peer: Endpoint = Endpoint()
    local: Endpoint = Endpoint()
    tls: str = ""
    client_id: int = 0
    """Who has it; 0: nobody."""
    prepared: int = 0
    is_outdated: bool = False
    """It will be closed when it comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinInfo:
    """Why a session keeps its server connection."""

    client_id: int
    database: str
    user: str
    reason: str
    statement: str
    application_name: str
    server_pid: int
    age_s: float
    """How long the session has had the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """The read cache of one pool."""

    database: str
    user: str
    rules: CacheRules
    reads: dict[str, int] = field(default_factory=dict)
    """By ``Reason.value``."""
    catalogue_error: str = ""
    """Why the catalogue cannot be read, without which nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolInfo:
    """One pool: a database as one account."""

    database: str
    user: str
    mode: Mode
    size: int
    clients: dict[ClientState, int]
    servers: dict[ServerState, int]
    max_wait_s: float
    """How long the client has been waiting that waits longest."""
    is_paused: bool
    statistics: Statistics
    """A copy."""
    last_error: str = ""
    """Why the last login at the database failed; empty when a later one succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """One database of the configuration."""

    name: str
    host: str
    port: int
    database: str
    user: str
    """The account that logs in, whoever the client is; empty: the client's own."""
    size: int
    min_idle: int
    mode: Mode
    servers: int
    clients: int
    is_paused: bool
    is_disabled: bool
    is_cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything, at one moment."""

    databases: tuple[DatabaseInfo, ...] = ()
    pools: tuple[PoolInfo, ...] = ()
    clients: tuple[ClientInfo, ...] = ()
    servers: tuple[ServerInfo, ...] = ()
    caches: tuple[CacheInfo, ...] = ()
    cache_entries: int = 0
    """Of all pools together."""
    cache_bytes: int = 0
    cached_statements: tuple[StatementReport, ...] = ()

    @property
    def pins(self) -> tuple[PinInfo, ...]:
        """Every pin of every client."""
        return tuple(
            PinInfo(
                client_id=client.client_id,
                database=client.database,
                user=client.user,
                reason=reason,
                statement=statement,
                application_name=client.application_name,
                server_pid=client.server_pid,
                age_s=client.state_s,
            )
            for client in self.clients
            for reason, statement in client.pins
        )
