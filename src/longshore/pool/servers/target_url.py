"""The URL of a database as libpq has it: several hosts, ``sslmode`` and its kin (PURE)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from longshore.config.connection_string import ConnectionStringError, parse_connection_string
from longshore.config.validate import nearest
from longshore.core.host_syntax import parse_host, parse_port
from longshore.errors import SocketError

__all__ = ["TargetUrl", "parse_target_url"]

PORT: Final = 5432
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_MODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_SESSIONS: Final = {"any": False, "read-write": True, "primary": True}
_KNOWN: Final = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "target_session_attrs",
    "connect_timeout",
    "application_name",
    "options",
    "host",
)


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """What the URL says."""

    host: str
    port: int
    more_hosts: tuple[tuple[str, int], ...]
    user: str
    password: str
    database: str
    parameters: dict[str, str]
    """Of ``_KNOWN``, checked."""

    @property
    def is_primary_wanted(self) -> bool:
        """``target_session_attrs=read-write``."""
        return _SESSIONS[self.parameters.get("target_session_attrs", "any")]


def parse_target_url(text: str) -> TargetUrl:
    """Take a ``postgres://`` URL apart.

    Raises:
        ValueError: it is none; the message never holds the password.
    """
    first, others = _with_one_host(text)
    try:
        found = parse_connection_string(first)
    except ConnectionStringError as exc:
        raise ValueError(f"the URL {exc}") from exc
    if found.scheme == "mysql":
        raise ValueError("the URL is one of MySQL: this pool is for PostgreSQL")
    parameters = _parameters(found.query)
    host = parameters.pop("host", found.host)
    return TargetUrl(host, found.port, others, found.user, found.password, found.database, parameters)


def _with_one_host(text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the URL with the first host only and a colon behind the user, and the other hosts."""
    scheme, separator, rest = text.partition("://")
    authority, slash, tail = rest.partition("/")
    user, at, places = authority.rpartition("@")
    if not at or "@" in tail:
        return text, ()  # whatever is wrong with it is said elsewhere
    first, *others = places.split(",")
    if user and ":" not in user:
        user += ":"  # no password: trusted, by certificate, or from a secret
    if not first and "host=" in tail:
        first = "localhost"  # replaced by the folder that `host` names
    return f"{scheme}{separator}{user}@{first}{slash}{tail}", tuple(_place(each) for each in others)


def _place(text: str) -> tuple[str, int]:
    colon = text.rfind(":")
    has_port = colon > text.rfind("]")
    try:
        host = parse_host((text[:colon] if has_port else text).removeprefix("[").removesuffix("]"), "host")[0]
        return host, parse_port(text[colon + 1 :], "host") if has_port else PORT
    except SocketError as exc:
        raise ValueError(f"the URL has a wrong host or port: {exc}") from exc


def _parameters(query: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&") if part)
    found = {_decoded(name): _decoded(value) for name, _, value in pairs}
    for name, value in found.items():
        if name not in _KNOWN:
            near = nearest(name, _KNOWN)
            hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(_KNOWN)}"
            raise ValueError(f"the URL has the unknown parameter {name[:40]!r}: {hint}")
        _check(name, value)
    return found


def _decoded(text: str) -> str:
    """Return the text without percent signs; ``+`` is a plus, as in libpq."""
    data = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("the URL has escapes in its parameters that are not UTF-8") from None


def _check(name: str, value: str) -> None:
    choices: tuple[str, ...] | None = {
        "sslmode": _MODES,
        "sslnegotiation": ("postgres", "direct"),
        "target_session_attrs": tuple(_SESSIONS),
    }.get(name)
    if choices is not None and value not in choices:
        raise ValueError(f"the URL has {name}={value[:40]!r}: write one of {', '.join(choices)}")
    if name == "connect_timeout" and not (value.isascii() and value.isdigit() and 0 < int(value[:6]) < 1_000_000):
        raise ValueError("the URL has a connect_timeout that is no number of seconds")
    if name == "host" and not value.startswith("/"):
        raise ValueError("the URL has host=… that is no folder of a Unix socket: write the host before the '/'")
