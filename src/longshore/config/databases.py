"""A database of ``[[hyperdrive]]``: from its keys, and to what a worker may know of it (PURE)."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longshore.config.connection_string import parse_connection_string
from longshore.config.model import HyperdriveBinding, HyperdriveCaching, HyperdriveTls
from longshore.core.host_syntax import join_host_port

if TYPE_CHECKING:
    from longshore.config.shape import HyperdriveShape

__all__ = ["database_binding", "is_of_the_server", "private_binding"]

_UNRESERVED: Final = frozenset(string.ascii_letters + string.digits + "-._~")
_ESCAPE: Final = re.compile("%([0-9A-Fa-f]{2})")
# What says how to reach the server or how to log in there is the pool's affair, and may be a secret.
_OF_THE_SERVER: Final = re.compile(
    r"ssl|gss|krb|host|port|user|dbname|channel_binding|target_session_attrs|require|service|load_balance|connect_timeout"
    r"|.*(pass|key|token|secret)"
)


def database_binding(shape: HyperdriveShape, connection_string: str) -> HyperdriveBinding:
    """Return the binding that a file declares."""
    return HyperdriveBinding(
        binding=shape.binding,
        connection_string=connection_string,
        caching=HyperdriveCaching(**_given(shape.caching)),
        mtls=HyperdriveTls(**_given(shape.mtls)),
        **{key: value for key in ("mode", "origin_connection_limit") if (value := getattr(shape, key)) is not None},
    )


def private_binding(
    binding: HyperdriveBinding, host: str, port: int, *, user: str | None = None, password: str
) -> HyperdriveBinding:
    """Return the binding as its worker gets it: with the pool's address, and a password that the pool knows.

    Args:
        binding: as configured.
        host: where the worker reaches the pool.
        port: the same.
        user: who logs in to the pool, if not the configured account.
        password: for the pool.

    Raises:
        ConnectionStringError: the binding's URL is none.
    """
    url = parse_connection_string(binding.connection_string)
    account = f"{quote(url.user if user is None else user)}:{quote(password)}"
    query = "&".join(["sslmode=disable", *_of_the_client(url.query)])
    place = join_host_port(host, port)
    private = f"{url.scheme}://{account}@{place}/{quote(url.database)}?{query}"
    return HyperdriveBinding(binding=binding.binding, connection_string=private, is_private=True)


def quote(text: str) -> str:
    """Return ``text`` as a part of a URL: every byte but letters, digits and ``-._~`` is escaped (RFC 3986 §2.3)."""
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())


def _of_the_client(query: str) -> list[str]:
    """Return what a driver makes something of: ``application_name``, ``options``, settings of the session."""
    parts = [part for part in query.split("&") if part]
    return [part for part in parts if not is_of_the_server(part)]


def is_of_the_server(part: str) -> bool:
    """Say whether a part of a query is for the pool, and not for the driver."""
    name = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), part.partition("=")[0])
    return _OF_THE_SERVER.match(name.lower()) is not None


def _given(shape: msgspec.Struct) -> dict[str, Any]:
    return {key: value for key, value in msgspec.structs.asdict(shape).items() if value is not None}
