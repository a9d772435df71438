"""What ``pool.toml`` may hold, as types: ``longshore.config.validate`` walks these declarations (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from longshore.config import checks
from longshore.pool.cache.store_address import parse_store
from longshore.pool.servers.target_url import parse_target_url
from longshore.pool.standalone.listen import parse_listen

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CacheShape", "ClientTlsShape", "DatabaseShape", "PoolFile", "PoolShape", "UpstreamTlsShape"]

MAX_CONNECTIONS = 100_000
"""PostgreSQL allows 262,143; more than this many in one pool is a mistake."""
MAX_CLIENTS = 1_000_000
MAX_SECONDS = 7 * 24 * 3600.0
MIN_LIFETIME_S = 10.0
"""Of a server connection: with less, the database does little but logins."""
MAX_BYTES = 1 << 40
MAX_NAME_BYTES = 63
"""``NAMEDATALEN`` - 1."""


def _checked(check: Callable[[Any], Any]) -> Meta:
    return Meta(extra={"check": check})


def check_name(value: str) -> None:
    """Refuse what PostgreSQL would cut or cannot be told."""
    if not value or "\0" in value or len(value.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"{value[:80]!r} is no name: it has 1 to {MAX_NAME_BYTES} bytes")


def check_server_host(value: str) -> None:
    """Refuse what is neither a host nor the folder of a Unix socket."""
    if value.startswith("/"):
        checks.check_path(value)
    else:
        checks.check_server_name(value)


Name: TypeAlias = Annotated[str, _checked(check_name)]
File: TypeAlias = Annotated[str, _checked(checks.check_path)]
Credential: TypeAlias = Annotated[str, _checked(checks.check_credential_name)]
Secret: TypeAlias = Annotated[str, _checked(checks.check_secret_name)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
Bytes: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_BYTES)]
Clients: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_CLIENTS)]
Version: TypeAlias = Literal["TLSv1.2", "TLSv1.3"]


class PoolShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[pool]``."""

    listen: list[Annotated[str, _checked(parse_listen)]] | None = None
    users_file: File | None = None
    auth: Literal["auto", "scram-sha-256", "md5", "password", "cert", "trust"] | None = None
    auth_query: str | None = None
    auth_database: Name | None = None
    admin_users: list[Name] = []
    stats_users: list[Name] = []
    max_clients: Clients | None = None
    max_clients_per_database: Clients | None = None
    max_clients_per_user: Clients | None = None
    login_timeout_s: Seconds | None = None
    metrics: Annotated[str, _checked(parse_listen)] | None = None
    log: Literal["text", "json"] | None = None
    cache_store: Annotated[str, _checked(parse_store)] | None = None
    cache_store_secret: Secret | None = None
    control: File | None = None


class ClientTlsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[tls]``: towards clients."""

    mode: Literal["disable", "prefer", "require", "verify-ca"] | None = None
    certificate: Credential | None = None
    certificate_file: File | None = None
    key_file: File | None = None
    client_ca: Credential | None = None
    client_ca_file: File | None = None
    minimum_version: Version | None = None


class UpstreamTlsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[databases.NAME.tls]``: towards the database."""

    mode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] | None = None
    is_direct: bool = False
    ca: Credential | None = None
    ca_file: File | None = None
    certificate: Credential | None = None
    certificate_file: File | None = None
    key_file: File | None = None


class CacheShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[databases.NAME.cache]``: being there switches the cache on."""

    enabled: bool = True
    on_request: bool = False
    max_age_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    stale_while_revalidate_s: Annotated[float, Meta(ge=0, le=3600)] | None = None
    max_result_bytes: Bytes | None = None


class DatabaseShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[databases.NAME]``."""

    url: Annotated[str, _checked(parse_target_url)] | None = None
    host: Annotated[str, _checked(check_server_host)] | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    more_hosts: list[Annotated[str, _checked(checks.check_address)]] = []
    database: Name | None = None
    user: Name | None = None
    password: str | None = None
    password_secret: Secret | None = None
    application_name: Name | None = None
    target_session: Literal["any", "read-write"] | None = None
    connect_timeout_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    tls: UpstreamTlsShape | None = None
    mode: Literal["transaction", "session"] | None = None
    size: Annotated[int, Meta(ge=1, le=MAX_CONNECTIONS)] | None = None
    min_idle: Annotated[int, Meta(ge=0, le=MAX_CONNECTIONS)] | None = None
    max_waiting: Annotated[int, Meta(ge=0, le=MAX_CLIENTS)] | None = None
    wait_timeout_s: Seconds | None = None
    idle_timeout_s: Seconds | None = None
    lifetime_s: Annotated[float, Meta(ge=MIN_LIFETIME_S, le=MAX_SECONDS)] | None = None
    cache: CacheShape | None = None
    users: list[Name] | None = None


class PoolFile(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    pool: PoolShape = PoolShape()
    tls: ClientTlsShape | None = None
    databases: dict[str, DatabaseShape] = {}
