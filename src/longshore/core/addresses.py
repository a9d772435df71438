"""``SocketAddress``: where to connect, parsed once (PURE, no DNS).

Rule K3: an address is turned into one value, and that value is validated, judged by policy, connected and
printed. Nothing downstream may parse the text again: two parsers that differ are how
``127.0.0.1:010000`` came to be checked as port 10000 and connected to port 4096 elsewhere.

There is no default port, no scheme, no user information and no path. Which hosts and ports may be
written, and how, says ``core.host_syntax``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias, final

from longshore.core.host_syntax import (
    IpAddress,
    check_port,
    join_host_port,
    parse_host,
    parse_port,
    reject_url_characters,
    try_parse_ip,
)
from longshore.core.shown import shown
from longshore.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["AnySocketAddress", "IpAddress", "SocketAddress"]

_KEYS: Final = frozenset({"hostname", "port"})
_KEYS_RULE: Final = "the keys are 'hostname' and 'port'"
_FORMS: Final = "write 'host:port', '[IPv6]:port', (host, port) or {'hostname': …, 'port': …}"
# The longest name, its colon and its port, with room for leading zeros; bounds what the cache may hold.
_MAX_TEXT_CHARS: Final = 300
_CACHED_TEXTS: Final = 256


@final
@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A destination: a host name or IP literal, and a port (WinterTC Sockets API, *SocketAddress*).

    The constructor checks like ``parse`` does, so that no wrong value of this type exists.

    Raises:
        ArgumentTypeError: ``hostname`` is no str or ``port`` no int.
        ArgumentValueError: ``hostname`` or ``port`` is not allowed (rule K3).
    """

    hostname: str
    """A name in lower case, or an IP literal without brackets in its canonical spelling."""
    port: int
    """1 to 65535."""
    ip: IpAddress | None = field(init=False, repr=False, compare=False)
    """The address of an IP literal (with its zone, if it has one); None for a name."""

    def __post_init__(self) -> None:
        subject = f"address ({shown(self.hostname)}, {shown(self.port)})"
        hostname, ip = parse_host(self.hostname, subject)
        _set(self, "hostname", hostname)
        _set(self, "port", check_port(self.port, subject))
        _set(self, "ip", ip)

    @classmethod
    def parse(cls, value: AnySocketAddress) -> SocketAddress:
        """Return the address that ``value`` spells; a ``SocketAddress`` comes back as it is.

        Args:
            value: ``"host:port"``, ``"[IPv6]:port"``, ``(host, port)``, ``{"hostname": …, "port": …}`` or a
                ``SocketAddress``. An IPv6 address in a pair or a mapping needs no brackets.

        Raises:
            ArgumentTypeError: it is something else, or has a part of the wrong type.
            ArgumentValueError: it is not a valid address (rule K3).
        """
        if isinstance(value, str):
            return _parse_text(value if type(value) is str else str.__str__(value))
        if isinstance(value, SocketAddress):
            return value
        if isinstance(value, (tuple, list)):
            if len(value) == 2 and type(value[0]) is str and type(value[1]) is int:
                return _parse_clean_pair(value[0], value[1])
            return _parse_pair(value)
        if isinstance(value, Mapping):
            return _parse_mapping(value)
        raise ArgumentTypeError(f"address {shown(value)} has type {type(value).__name__}: {_FORMS}")

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP literal, so that nothing needs to be resolved."""
        return self.ip is not None

    @property
    def server_name(self) -> str:
        """The host as a certificate spells it: no final dot (RFC 6066 §3) and no zone."""
        return self.hostname.removesuffix(".").partition("%")[0]

    def __str__(self) -> str:
        return join_host_port(self.hostname, self.port)


AnySocketAddress: TypeAlias = str | SocketAddress | tuple[str, int] | list[str | int] | Mapping[str, object]
"""What ``connect()`` takes for an address."""

_set = object.__setattr__


@lru_cache(maxsize=_CACHED_TEXTS)
def _parse_text(text: str) -> SocketAddress:
    subject = f"address {shown(text)}"
    if len(text) > _MAX_TEXT_CHARS:
        raise ArgumentValueError(f"{subject} has {len(text)} characters: the most is {_MAX_TEXT_CHARS}")
    reject_url_characters(text, subject)
    host, port = _split(text, subject)
    return _make(host, parse_port(port, subject), subject)


def _split(text: str, subject: str) -> tuple[str, str]:
    if text.startswith("["):
        return _split_bracketed(text, subject)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ArgumentValueError(f"{subject} has no port: write {shown(text + ':PORT')} with its number")
    if ":" in host:
        raise ArgumentValueError(f"{subject} {_colons_hint(text, host, port)}")
    return host, port


def _split_bracketed(text: str, subject: str) -> tuple[str, str]:
    inside, bracket, rest = text.partition("]")
    if not bracket:
        raise ArgumentValueError(f"{subject} has no closing bracket: write '[IPv6]:port'")
    if not rest.startswith(":"):
        raise ArgumentValueError(f"{subject} has no port after the bracket: write '[IPv6]:port'")
    return inside + bracket, rest[1:]


def _colons_hint(text: str, host: str, port: str) -> str:
    if port.isdecimal() and try_parse_ip(host) is not None:
        return f"has an IPv6 address without brackets: write '[{host}]:{port}'"
    if try_parse_ip(text) is not None:
        return f"is an IPv6 address without a port: write '[{text}]:PORT' with its number"
    return "has more than one colon: write 'host:port' or '[IPv6]:port'"


@lru_cache(maxsize=_CACHED_TEXTS)
def _parse_clean_pair(host: str, port: int) -> SocketAddress:
    return _parse_pair((host, port))


def _parse_pair(pair: tuple[object, ...] | list[object] | list[str | int]) -> SocketAddress:
    subject = f"address {shown(pair)}"
    if len(pair) != 2:
        raise ArgumentTypeError(f"{subject} has {len(pair)} items: write (host, port)")
    return _make(pair[0], pair[1], subject)


def _parse_mapping(mapping: Mapping[str, object]) -> SocketAddress:
    subject = f"address {shown(mapping)}"
    for key in mapping:
        if key not in _KEYS:
            raise ArgumentTypeError(f"{subject} has the unknown key {shown(key)}: {_KEYS_RULE}")
    for key in sorted(_KEYS):
        if key not in mapping:
            raise ArgumentTypeError(f"{subject} has no {key!r}: {_KEYS_RULE}")
    return _make(mapping["hostname"], mapping["port"], subject)


def _make(hostname: object, port: object, subject: str) -> SocketAddress:
    """Build the value with a complaint about the whole of what was given, not about its parts."""
    name, ip = parse_host(hostname, subject)
    address = object.__new__(SocketAddress)
    _set(address, "hostname", name)
    _set(address, "port", check_port(port, subject))
    _set(address, "ip", ip)
    return address
