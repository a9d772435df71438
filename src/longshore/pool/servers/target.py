"""Where the connections of a pool go (values)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Target", "TlsMode", "UpstreamTls", "unix_path"]


class TlsMode(Enum):
    """How a connection to a database is encrypted; the names and meanings of libpq's ``sslmode``."""

    DISABLE = "disable"
    PREFER = "prefer"
    """If the server offers it, without looking at its certificate."""
    REQUIRE = "require"
    """Always; the certificate is verified when ``ca`` is given."""
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """TLS towards a database."""

    mode: TlsMode = TlsMode.PREFER
    is_direct: bool = False
    """``sslnegotiation=direct``: TLS from the first byte, with ALPN (PostgreSQL 17)."""
    ca: bytes | None = None
    """Certificates in PEM form; None: the system's."""
    certificate: bytes | None = None
    """Ours, with its chain, in PEM form."""
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One database, and the account that logs in."""

    host: str
    """Name, IP literal, or an absolute path: the folder of a Unix socket."""
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    database: str
    more_hosts: tuple[tuple[str, int], ...] = ()
    """Tried in this order when ``host`` does not answer, or is not what ``is_primary_wanted`` asks for."""
    is_primary_wanted: bool = False
    """``target_session_attrs=read-write``."""
    tls: UpstreamTls = field(default_factory=UpstreamTls)
    connect_timeout_s: float = 15.0
    """For each host: name, TCP, TLS and login together."""
    application_name: str = "longshore"
    """What ``pg_stat_activity`` shows of connections that no client has given another name."""
    options: str = ""
    """Of the server process, as libpq has them: ``-c name=value``."""

    @property
    def unix_path(self) -> str | None:
        """The path of the Unix socket; None for TCP."""
        return unix_path(self.host, self.port)

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """All hosts with their ports, in the order in which they are tried."""
        return ((self.host, self.port), *self.more_hosts)


def unix_path(host: str, port: int) -> str | None:
    """Return the path of the Unix socket; None for TCP."""
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else None
