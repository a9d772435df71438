"""The configuration in force of ``longshore pool`` (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longshore.pool.standalone.listen import Listen

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.config.model import Notice
    from longshore.pool.cache.store_address import StoreAddress
    from longshore.pool.model import Database
    from longshore.proto.postgres.auth import Secret

__all__ = ["DEFAULT_LISTEN", "AuthQuery", "ClientTls", "PoolSettings"]

DEFAULT_LISTEN = Listen("127.0.0.1", 6432)
"""PgBouncer's port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """TLS towards clients."""

    mode: str
    """``"prefer"`` (whoever asks gets it), ``"require"``, or ``"verify-ca"`` (with a client certificate)."""
    certificate: bytes
    """The chain in PEM form, leaf first."""
    key: bytes = field(repr=False)
    client_ca: bytes | None = None
    minimum_version: str = "TLSv1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthQuery:
    """Asks a database for the secrets of users that no file lists."""

    query: str
    """With the user's name as ``$1``; returns name and secret. Empty: PostgreSQL's own users."""
    database: str
    """Of the configuration; its account must be allowed to read the secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """Everything that ``longshore pool`` was told."""

    databases: tuple[Database, ...]
    database_users: dict[str, frozenset[str]] = field(default_factory=dict)
    """Who may use a database, for those that say so."""
    listen: tuple[Listen, ...] = (DEFAULT_LISTEN,)
    users: dict[str, Secret] | None = field(default=None, repr=False)
    """Who may log in; None: every client of this machine may, as whom it likes."""
    users_file: Path | None = None
    auth_query: AuthQuery | None = None
    admin_users: frozenset[str] = frozenset()
    stats_users: frozenset[str] = frozenset()
    auth: str | None = None
    """How clients prove who they are, a value of ``ClientMethod``; None: as the secrets allow."""
    max_clients: int = 10_000
    max_clients_per_database: int | None = None
    max_clients_per_user: int | None = None
    login_timeout_s: float = 60.0
    metrics: Listen | None = None
    is_json: bool = False
    tls: ClientTls | None = None
    cache_store: StoreAddress | None = None
    """Where results of reads are kept for several machines; None: in memory."""
    control: Path | None = None
    """Of the socket for the online restart; None: no such socket."""
    file: Path | None = None
    """None: everything came from the command line."""
    notices: tuple[Notice, ...] = ()
    is_verbose: bool = False

    @property
    def is_open(self) -> bool:
        """True when no client is asked for a password."""
        return self.users is None and self.auth_query is None
