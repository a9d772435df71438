"""``Hyperdrive``: a PostgreSQL or MySQL database as a binding.

A PostgreSQL database is reached through the host's pool. The address and the password that a worker sees are the pool's
and mean something for this one worker only; who the pool logs in as is the configuration's, and stays with the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longshore.config.connection_string import ConnectionStringError, parse_connection_string
from longshore.config.databases import private_binding
from longshore.config.model import HyperdriveBinding
from longshore.errors import ArgumentTypeError, ArgumentValueError, UsageError
from longshore.proto.ipc.pool import HANDLE_PREFIX, DefineDatabase
from longshore.sockets._connect import connect, default_dialer
from longshore.workers._bound_dialer import BoundDialer
from longshore.workers._context import connecting_via

if TYPE_CHECKING:
    from longshore.sockets._options import AnySocketOptions
    from longshore.sockets._socket import Socket

__all__ = ["Hyperdrive"]

_OPTIONS: Final = {
    "connectionString": "connection_string",
    "cachingEnabled": "caching_enabled",
    "maxConnections": "max_connections",
    "targetRegion": "target_region",
    "mtlsCertificateId": "mtls_certificate_id",
}
"""Cloudflare's spelling of the options of ``get()``."""
_HANDLE_CHARS: Final = 24


class Hyperdrive:
    """Where a database is, in the pieces that drivers ask for, escapes resolved.

    Args:
        connection_string: ``postgres://``, ``postgresql://`` or ``mysql://`` URL with its five parts.
        name: of the binding, for messages.
        is_private: whether this is the pool's address, as the host gives it to its worker.

    Raises:
        ArgumentTypeError, ArgumentValueError: the URL is wrong; its password is never in the message.
    """

    __slots__ = ("_connection_string", "_dialer", "_name", "_parts")

    def __init__(self, connection_string: str, *, name: str = "HYPERDRIVE", is_private: bool = False) -> None:
        if not isinstance(connection_string, str):
            raise ArgumentTypeError(
                f"connection string of {name!r} must be a str, not {type(connection_string).__name__}"
            )
        try:
            self._parts = parse_connection_string(connection_string)
        except ConnectionStringError as exc:
            raise ArgumentValueError(f"connection string of {name!r} {exc}") from exc
        self._connection_string = connection_string
        self._name = name
        self._dialer = BoundDialer(name) if is_private else None

    @property
    def connection_string(self) -> str:
        """The whole URL, for drivers that take one; with the query that was configured for them."""
        return self._connection_string

    @property
    def host(self) -> str:
        """Name or IP literal, without brackets."""
        return self._parts.host

    @property
    def port(self) -> int:
        """The port that goes with ``host``."""
        return self._parts.port

    @property
    def user(self) -> str:
        """Who logs in."""
        return self._parts.user

    @property
    def password(self) -> str:
        """For the pool, new for each worker process. Of a MySQL database its own; empty when it has none."""
        return self._parts.password

    @property
    def database(self) -> str:
        """What to use on that server."""
        return self._parts.database

    connectionString = connection_string  # noqa: N815 - the spelling of Cloudflare's runtime

    def connect(self, options: AnySocketOptions | None = None, /, **keywords: Any) -> Socket:
        """Return a socket to the database, or rather to its pool, at once; see ``longshore.connect()``.

        What is spoken on it is the protocol of the database, in the clear: the hop is private, and the pool makes TLS.

        Args:
            options: as for ``longshore.connect()``. Of a database without a pool ``secure_transport="starttls"`` is for
                PostgreSQL's *SSLRequest*.
            **keywords: the same, by name.

        Raises:
            ArgumentTypeError, ArgumentValueError: an option is wrong.
            UsageError: no event loop is running.
        """
        if self._dialer is None:
            return connect((self.host, self.port), options, **keywords)
        token = connecting_via.set("binding")
        try:
            return connect((self.host, self.port), options, dialer=self._dialer, **keywords)
        finally:
            connecting_via.reset(token)

    def get(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> Hyperdrive:
        """Return another database as an object of the same shape, through the pool: one for each tenant, say.

        It is not declared in the configuration, so this worker must be allowed to connect to its address. Calling this
        for each request costs next to nothing: what is the same shares its connections.

        Args:
            options: a mapping of the keywords, in snake_case or camelCase.
            **keywords: ``connection_string``, a ``postgres://`` URL; ``caching_enabled`` (True: as the binding),
                ``max_connections`` (None: as the binding). ``target_region`` has no effect.

        Raises:
            ArgumentTypeError, ArgumentValueError: an option is wrong.
            UsageError: the binding has no pool.
        """
        if self._dialer is None:
            raise UsageError(f"env.{self._name}.get() needs a pool: it is for PostgreSQL, in a worker that a host runs")
        chosen = _chosen(self._name, options, keywords)
        target = HyperdriveBinding(binding=self._name, connection_string=chosen.connection_string)
        definition = msgspec.structs.replace(chosen, handle=self._handle(chosen))
        # A dialer of a test's own does not know of pools, and what it connects to is none.
        define = getattr(default_dialer(), "define_database", None)
        private = private_binding(target, self.host, self.port, user=definition.handle, password=self.password)
        found = Hyperdrive(private.connection_string, name=self._name, is_private=True)
        if define is not None:
            define(definition)
        return found

    def getHyperdriveConnectionString(self) -> str:  # noqa: N802 - the spelling of Cloudflare's runtime
        """Return ``connection_string``."""
        return self._connection_string

    def _handle(self, chosen: DefineDatabase) -> str:
        """Return a user name: the same for the same database, and for this worker process only."""
        secret = hashlib.blake2b(self.password.encode(), digest_size=16).digest()
        digest = hashlib.blake2b(msgspec.json.encode(chosen), key=secret).hexdigest()
        return HANDLE_PREFIX + digest[:_HANDLE_CHARS]

    def __repr__(self) -> str:
        return f"<Hyperdrive {self._name}: {self._parts.without_password}>"


def _chosen(name: str, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> DefineDatabase:
    if options is not None and not isinstance(options, Mapping):
        raise ArgumentTypeError(f"options of env.{name}.get() must be a mapping, not {type(options).__name__}")
    given = {_OPTIONS.get(key, key): value for key, value in {**(options or {}), **keywords}.items()}
    if unknown := sorted(set(given) - set(_OPTIONS.values())):
        raise ArgumentTypeError(f"env.{name}.get() has no option {unknown[0]!r}: {', '.join(_OPTIONS.values())}")
    if given.get("mtls_certificate_id") is not None:
        raise ArgumentValueError(f"mtls_certificate_id of env.{name}.get() is not for the worker to choose")
    text = given.get("connection_string")
    if not isinstance(text, str):
        raise ArgumentTypeError(f"connection_string of env.{name}.get() must be a str, not {type(text).__name__}")
    wanted = given.get("max_connections")
    if wanted is not None and (type(wanted) is not int or wanted < 1):
        raise ArgumentValueError(f"max_connections of env.{name}.get() must be a number from 1, not {wanted!r}")
    is_cached = given.get("caching_enabled")
    if is_cached not in (None, True, False):
        raise ArgumentTypeError(f"caching_enabled of env.{name}.get() must be True or False, not {is_cached!r}")
    try:
        scheme = parse_connection_string(text).scheme
    except ConnectionStringError as exc:
        raise ArgumentValueError(f"connection string of env.{name}.get() {exc}") from exc
    if scheme == "mysql":
        raise ArgumentValueError(f"connection string of env.{name}.get() is one of MySQL, which has no pool yet")
    return DefineDatabase(
        binding=name,
        handle="",
        connection_string=text,
        is_cached=is_cached is not False,
        max_connections=wanted or 0,
    )
