"""``Hyperdrive``: a database as a binding. In this version it is reached directly; there is no pool in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.config.connection_string import ConnectionStringError, parse_connection_string
from longshore.errors import ArgumentTypeError, ArgumentValueError
from longshore.sockets._connect import connect

if TYPE_CHECKING:
    from longshore.sockets._options import AnySocketOptions
    from longshore.sockets._socket import Socket

__all__ = ["Hyperdrive"]


class Hyperdrive:
    """Where a database is, in the pieces that drivers ask for, escapes resolved.

    Args:
        connection_string: ``postgres://``, ``postgresql://`` or ``mysql://`` URL with its five parts.
        name: of the binding, for messages.

    Raises:
        ArgumentTypeError, ArgumentValueError: the URL is wrong; its password is never in the message.
    """

    __slots__ = ("_connection_string", "_name", "_parts")

    def __init__(self, connection_string: str, *, name: str = "HYPERDRIVE") -> None:
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

    @property
    def connection_string(self) -> str:
        """The whole URL as it was configured, its query included; it holds the password."""
        return self._connection_string

    @property
    def host(self) -> str:
        """Name or IP literal, without brackets."""
        return self._parts.host

    @property
    def port(self) -> int:
        """As in the URL, or 5432 (PostgreSQL) and 3306 (MySQL)."""
        return self._parts.port

    @property
    def user(self) -> str:
        """Who logs in."""
        return self._parts.user

    @property
    def password(self) -> str:
        """Empty when the URL says that there is none (``user:@host``)."""
        return self._parts.password

    @property
    def database(self) -> str:
        """What to use on that server."""
        return self._parts.database

    connectionString = connection_string  # noqa: N815 - the spelling of Cloudflare's runtime

    def connect(self, options: AnySocketOptions | None = None, /, **keywords: Any) -> Socket:
        """Return a socket to the database at once; see ``longshore.connect()``.

        Args:
            options: as for ``longshore.connect()``; ``secure_transport="starttls"`` for PostgreSQL's *SSLRequest*.
            **keywords: the same, by name.

        Raises:
            ArgumentTypeError, ArgumentValueError: an option is wrong.
            UsageError: no event loop is running.
        """
        return connect((self.host, self.port), options, **keywords)

    def __repr__(self) -> str:
        return f"<Hyperdrive {self._name}: {self._parts.without_password}>"
