"""From what a binding says to a ``Database`` of the pool (PURE)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.connection_string import ConnectionStringError, parse_connection_string
from longshore.pool.cache.model import CacheRules
from longshore.pool.model import Database, Mode
from longshore.pool.servers.target import Target, TlsMode, UpstreamTls
from longshore.pool.slots.model import Rules

if TYPE_CHECKING:
    from longshore.proto.ipc.pool import DefineDatabase, PooledDatabase

__all__ = ["MAX_DYNAMIC_CONNECTIONS", "declared_database", "defined_database"]

MAX_DYNAMIC_CONNECTIONS: Final = 100
"""Most server connections that a worker may ask for with ``max_connections``."""
WAIT_TIMEOUT_S: Final = 15.0
"""A request of a worker that waits longer for a server connection has lost its client."""
_DYNAMIC_IDLE_S: Final = 60.0
"""A database that a worker has named is left that soon: there may be thousands, one for each tenant."""
_MAX_CONNECT_TIMEOUT_S: Final = 60


def declared_database(declared: PooledDatabase) -> Database:
    """Return the database of a binding.

    Raises:
        ValueError: its connection string is wrong; the message never holds the password.
    """
    tls = UpstreamTls(
        ca=_pem(declared.ca),
        certificate=_pem(declared.certificate),
        key=_pem(declared.key),
    )
    target = _target(declared.connection_string, declared.sslmode, tls)
    return Database(
        name=target.database,
        target=target,
        rules=Rules(size=declared.origin_connection_limit, wait_timeout_s=WAIT_TIMEOUT_S),
        mode=Mode(declared.mode),
        cache=CacheRules(
            is_enabled=declared.is_cached,
            max_age_s=declared.max_age_s,
            stale_while_revalidate_s=declared.stale_while_revalidate_s,
        ),
    )


def defined_database(defined: DefineDatabase, binding: PooledDatabase) -> Database:
    """Return the database that a worker has named; what it does not say is as of the binding it was named through.

    Raises:
        ValueError: as for ``declared_database``, or a number is out of range.
    """
    wanted = defined.max_connections or min(binding.origin_connection_limit, MAX_DYNAMIC_CONNECTIONS)
    if not 1 <= wanted <= MAX_DYNAMIC_CONNECTIONS:
        raise ValueError(f"max_connections is {wanted}: from 1 to {MAX_DYNAMIC_CONNECTIONS} are possible")
    like = msgspec.structs.replace(
        binding,
        connection_string=defined.connection_string,
        sslmode=None,
        certificate=None,  # a worker must not show it to whom it likes
        key=None,
        is_cached=binding.is_cached and defined.is_cached,
    )
    database = declared_database(like)
    if database.target.host.startswith("/"):
        raise ValueError("the host of the connection string is a folder")
    return replace(database, rules=Rules(size=wanted, wait_timeout_s=WAIT_TIMEOUT_S, idle_timeout_s=_DYNAMIC_IDLE_S))


def _target(text: str, sslmode: str | None, tls: UpstreamTls) -> Target:
    try:
        url = parse_connection_string(text)
    except ConnectionStringError as exc:
        raise ValueError(f"the connection string {exc}") from exc
    if url.scheme == "mysql":
        raise ValueError("the connection string is one of MySQL, which has no pool yet")
    # Nothing of what is looked for below has anything to escape.
    query = {name: value for name, _, value in (part.partition("=") for part in url.query.split("&"))}
    return Target(
        host=url.host,
        port=url.port,
        user=url.user,
        password=url.password,  # never None: then the pool would try the token of its client
        database=url.database,
        is_primary_wanted=query.get("target_session_attrs") in {"read-write", "primary"},
        tls=UpstreamTls(
            mode=_mode(sslmode or query.get("sslmode")),
            is_direct=query.get("sslnegotiation") == "direct",
            ca=tls.ca,
            certificate=tls.certificate,
            key=tls.key,
        ),
        connect_timeout_s=_connect_timeout(query.get("connect_timeout", "")),
    )


def _mode(sslmode: str | None) -> TlsMode:
    if not sslmode or sslmode == "allow":
        return TlsMode.PREFER
    try:
        return TlsMode(sslmode)
    except ValueError:
        known = ", ".join(each.value for each in TlsMode)
        raise ValueError(f"sslmode is {sslmode[:40]!r}: write one of {known}") from None


def _connect_timeout(text: str) -> float:
    if not (text.isascii() and text.isdigit() and int(text[:6]) > 0):
        return WAIT_TIMEOUT_S
    return float(min(int(text[:6]), _MAX_CONNECT_TIMEOUT_S))


def _pem(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
