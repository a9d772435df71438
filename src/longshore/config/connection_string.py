"""The URL of a database, taken apart: what is missing is said by name, and the password never (PURE)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from longshore.core.host_syntax import parse_host, parse_port
from longshore.errors import SocketError

__all__ = ["DEFAULT_PORTS", "ConnectionString", "ConnectionStringError", "parse_connection_string"]

DEFAULT_PORTS: Final = {"postgres": 5432, "postgresql": 5432, "mysql": 3306}
"""The schemes that are understood, with the port that each means."""

_FORM: Final = "write 'postgres://user:password@host:5432/database'"
_ESCAPE: Final = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class ConnectionStringError(Exception):
    """The text is no usable database URL; the message holds no part that may be a password."""


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """The parts of a database URL, escapes resolved."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    database: str
    query: str
    """What stands behind the question mark, as written."""

    @property
    def without_password(self) -> str:
        """The URL for a person's eyes: no password, and of the query only the names."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        names = [part.partition("=")[0] for part in self.query.split("&") if part]
        query = "?" + "&".join(f"{name}=…" for name in names) if names else ""
        return f"{self.scheme}://{self.user}:(hidden)@{host}:{self.port}/{self.database}{query}"


def parse_connection_string(text: str) -> ConnectionString:
    """Parse ``postgres://user:password@host:port/database?…``; ``mysql`` and ``postgresql`` too.

    Raises:
        ConnectionStringError: a part is missing or wrong.
    """
    match = _SCHEME.match(text)
    if match is None:
        raise ConnectionStringError(f"no URL with a scheme: {_FORM}")
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise ConnectionStringError(f"scheme {match[1]!r} is not known: write 'postgres', 'postgresql' or 'mysql'")
    if not text.isprintable() or " " in text or "#" in text:
        raise ConnectionStringError("has a space, a control character or '#': write it as '%20' or '%23'")
    rest, _, query = text[match.end() :].partition("?")
    authority, _, database = rest.partition("/")
    user_information, at, place = authority.rpartition("@")
    # Judged first: what is behind such a character would be taken for the host, and shown.
    if "@" in text and (not at or "@" in database):
        raise ConnectionStringError("has '/' or '?' before an '@': write them as '%2F' and '%3F', and '@' as '%40'")
    user, colon, password = user_information.partition(":")
    _check_parts(user, colon, place, database)
    host, port = _host_and_port(place, DEFAULT_PORTS[scheme])
    return ConnectionString(
        scheme,
        host,
        port,
        _unescaped(user, "user"),
        _unescaped(password, "password"),
        _unescaped(database, "database"),
        query,
    )


def _check_parts(user: str, colon: str, place: str, database: str) -> None:
    """Name everything that is missing at once."""
    missing = []
    if not user:
        missing.append("user")
    if not colon:
        missing.append("password")
    if not place or place.startswith(":"):
        missing.append("host")
    if not database:
        missing.append("database")
    if missing:
        note = " ('user:@host' says that there is no password)" if missing == ["password"] else ""
        raise ConnectionStringError(f"has no {' and no '.join(missing)}: {_FORM}{note}")


def _host_and_port(place: str, default_port: int) -> tuple[str, int]:
    colon = place.rfind(":")
    has_port = colon > place.rfind("]")
    host_text = place[:colon] if has_port else place
    try:
        host = parse_host(_unescaped(host_text.removeprefix("[").removesuffix("]"), "host"), "host")[0]
        return host, parse_port(place[colon + 1 :], "host") if has_port else default_port
    except SocketError as error:
        raise ConnectionStringError(f"has a wrong host or port: {error}") from error


def _unescaped(text: str, part: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise ConnectionStringError(f"has a '%' in its {part} that escapes nothing: write '%25'")
    try:
        return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].replace("%", "")).decode("utf-8"), text)
    except UnicodeDecodeError:
        raise ConnectionStringError(f"has escapes in its {part} that are not UTF-8") from None
