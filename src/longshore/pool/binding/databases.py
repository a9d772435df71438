"""From what a binding says to a ``Database`` of the pool (PURE)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.databases import is_of_the_server
from longshore.pool.cache.model import CacheRules
from longshore.pool.model import Database, Mode
from longshore.pool.servers.target import Target, TlsMode, UpstreamTls
from longshore.pool.servers.target_url import TargetUrl, parse_target_url
from longshore.pool.slots.model import Rules

if TYPE_CHECKING:
    from longshore.proto.ipc.pool import DefineDatabase, PooledDatabase

__all__ = ["MAX_DYNAMIC_CONNECTIONS", "declared_database", "defined_database"]

MAX_DYNAMIC_CONNECTIONS: Final = 100
"""Most server connections that a worker may ask for with ``max_connections``."""
MAX_URL_CHARS: Final = 8_192
"""Thousands of them are kept, one for each tenant."""
WAIT_TIMEOUT_S: Final = 15.0
"""A request of a worker that waits longer for a server connection has lost its client."""
_DYNAMIC_IDLE_S: Final = 60.0
"""A database that a worker has named is left that soon: there may be thousands, one for each tenant."""
_MAX_CONNECT_TIMEOUT_S: Final = 60
_STORE: Final = "put it into the credential store, and name it in 'mtls' of the binding"


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
    if len(defined.connection_string) > MAX_URL_CHARS:
        raise ValueError(f"the connection string is longer than {MAX_URL_CHARS} characters")
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
    return replace(
        declared_database(like), rules=Rules(size=wanted, wait_timeout_s=WAIT_TIMEOUT_S, idle_timeout_s=_DYNAMIC_IDLE_S)
    )


def _target(text: str, sslmode: str | None, tls: UpstreamTls) -> Target:
    url = _url(text)
    parameters = url.parameters
    return Target(
        host=url.host,
        port=url.port,
        user=url.user,
        password=url.password,  # never None: then the pool would try the token of its client
        database=url.database,
        is_primary_wanted=url.is_primary_wanted,
        tls=UpstreamTls(
            mode=TlsMode(sslmode or parameters.get("sslmode", TlsMode.PREFER.value)),
            is_direct=parameters.get("sslnegotiation") == "direct",
            ca=tls.ca,
            certificate=tls.certificate,
            key=tls.key,
        ),
        connect_timeout_s=float(min(int(parameters.get("connect_timeout", WAIT_TIMEOUT_S)), _MAX_CONNECT_TIMEOUT_S)),
    )


def _url(text: str) -> TargetUrl:
    """Return what the URL says to the pool; the rest of its query is for the driver.

    Raises:
        ValueError: it is wrong, or says something that a binding has other means for.
    """
    base, _, query = text.partition("?")
    of_the_server = [part for part in query.split("&") if part and is_of_the_server(part)]
    url = parse_target_url(f"{base}?{'&'.join(of_the_server)}" if of_the_server else base)
    for name in ("sslrootcert", "sslcert", "sslkey"):
        if url.parameters.get(name, "system") != "system":
            raise ValueError(f"the URL has {name}=…, a file: {_STORE}")
    if url.more_hosts or url.host.startswith("/"):
        raise ValueError("the URL has several hosts, or a folder of Unix sockets: a binding is for one host")
    return url


def _pem(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
