"""The spelling of hosts and ports: one place that says which text is allowed (PURE, no DNS).

``SocketAddress`` and the egress rules both read hosts and ports through these functions, so that what
is validated, judged by policy, connected and printed is one and the same value (rule K3). Every function
takes the ``subject`` of the sentence it would complain in, for example ``"address 'localhost:0'"``, and
raises nothing but ``ArgumentTypeError`` and ``ArgumentValueError``.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from longshore.core.shown import shown
from longshore.errors import ArgumentTypeError, ArgumentValueError

__all__ = [
    "MAX_PORT",
    "IpAddress",
    "check_port",
    "join_host_port",
    "parse_host",
    "parse_port",
    "reject_url_characters",
    "try_parse_ip",
]

IpAddress: TypeAlias = IPv4Address | IPv6Address

MAX_PORT: Final = 65535
# RFC 1035 §2.3.4: 255 octets on the wire are 253 characters of text; a label has 63.
_MAX_NAME_CHARS: Final = 253
_MAX_LABEL_CHARS: Final = 63
# RFC 1123 §2.1 letters, digits and hyphen; underscore because service names use it (RFC 8552).
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")
# An interface name or index: IFNAMSIZ is 16 with the terminating NUL.
_ZONE: Final = re.compile(r"[A-Za-z0-9._~-]{1,15}")
_LINK_LOCAL: Final = IPv6Network("fe80::/10")
# How a URL, or a piece of one, gives itself away, and what to do about it.
_URL_CHARACTERS: Final = {
    "/": "has a scheme or a path: write the host and the port only",
    "\\": "has a backslash: write the host and the port only",
    "?": "has a query: write the host and the port only",
    "#": "has a fragment: write the host and the port only",
    "@": "has user information: write the host and the port only, and send credentials in the protocol",
}


def join_host_port(hostname: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 literal (RFC 3986 §3.2.2)."""
    return f"[{hostname}]:{port}" if ":" in hostname else f"{hostname}:{port}"


def check_port(port: object, subject: str) -> int:
    """Return ``port`` when it is an int from 1 to 65535.

    Raises:
        ArgumentTypeError: it is no int, or a bool.
        ArgumentValueError: it is out of range.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        kind = type(port).__name__
        raise ArgumentTypeError(f"{subject} has port {shown(port)} of type {kind}: write an int, like 443")
    if not 1 <= port <= MAX_PORT:
        raise ArgumentValueError(f"{subject} has port {shown(port)}: a port is a number from 1 to {MAX_PORT}")
    return int(port)


def parse_port(text: str, subject: str) -> int:
    """Read a port written in text: ASCII digits, decimal whatever zeros it begins with.

    Raises:
        ArgumentValueError: it is empty, has anything but ASCII digits, or is out of range.
    """
    if not text:
        raise ArgumentValueError(f"{subject} has an empty port: write a number from 1 to {MAX_PORT}")
    if not (text.isascii() and text.isdigit()):
        raise ArgumentValueError(f"{subject} has port {shown(text)}: a port is written in ASCII digits only")
    # "010000" is ten thousand here, never C's octal 4096 (rule K3).
    digits = text.lstrip("0")
    if len(digits) > len(str(MAX_PORT)):
        raise ArgumentValueError(f"{subject} has port {shown(text)}: a port is a number from 1 to {MAX_PORT}")
    return check_port(int(digits or "0"), subject)


def parse_host(text: object, subject: str) -> tuple[str, IpAddress | None]:
    """Return the canonical spelling of a host and, for an IP literal, its address.

    A name comes back in lower case (RFC 4343), a literal without brackets in the spelling of RFC 5952.
    Numeric forms that only the C library takes for an address (``127.1``, ``2130706433``, ``0x7f.1``) are
    names here: policy judges what they resolve to (rule K4).

    Raises:
        ArgumentTypeError: it is no str.
        ArgumentValueError: it is neither a host name (RFC 1123) nor an IP literal.
    """
    if not isinstance(text, str):
        kind = type(text).__name__
        raise ArgumentTypeError(f"{subject} has hostname {shown(text)} of type {kind}: a hostname is a str")
    host = str.__str__(text)
    if not host:
        raise ArgumentValueError(f"{subject} has no host: write a name or an IP address before the port")
    reject_url_characters(host, subject)
    ip = _parse_literal(host, subject)
    if ip is not None:
        return str(ip), ip
    _check_name(host, subject)
    return host.lower(), None


def try_parse_ip(text: str) -> IpAddress | None:
    """Return the IP address that ``text`` spells (no brackets; a zone on fe80::/10 only), or None."""
    try:
        return IPv4Address(text)
    except ValueError:
        pass
    try:
        ip = IPv6Address(text)
    except ValueError:
        return None
    return ip if _zone_is_allowed(ip) else None


def reject_url_characters(text: str, subject: str) -> None:
    """Raise ArgumentValueError when ``text`` has white space, control characters or parts of a URL."""
    for character in text:
        if character in _URL_CHARACTERS:
            raise ArgumentValueError(f"{subject} {_URL_CHARACTERS[character]}")
        if character.isspace() or not character.isprintable():
            raise ArgumentValueError(f"{subject} has the character {character!r}: remove it")


def _parse_literal(host: str, subject: str) -> IpAddress | None:
    if host.startswith("[") or host.endswith("]"):
        return _parse_bracketed(host, subject)
    ip = try_parse_ip(host)
    if ip is None and (":" in host or "%" in host):
        raise ArgumentValueError(
            f"{subject} has hostname {shown(host)}: this is no IPv6 address (only fe80::/10 takes a zone like"
            " %eth0), and a name has neither ':' nor '%'"
        )
    return ip


def _parse_bracketed(host: str, subject: str) -> IPv6Address:
    ip = try_parse_ip(host[1:-1]) if host.startswith("[") and host.endswith("]") else None
    if not isinstance(ip, IPv6Address):
        raise ArgumentValueError(
            f"{subject} has hostname {shown(host)}: only an IPv6 address stands in brackets, like '[::1]'"
        )
    return ip


def _zone_is_allowed(ip: IPv6Address) -> bool:
    """Say whether the zone of ``ip``, if it has one, names an interface and is needed (RFC 4007 §6)."""
    return ip.scope_id is None or (ip in _LINK_LOCAL and _ZONE.fullmatch(ip.scope_id) is not None)


def _check_name(host: str, subject: str) -> None:
    if not host.isascii():
        raise ArgumentValueError(
            f"{subject} has hostname {shown(host)}: write an internationalised name in its ASCII form (xn--…)"
        )
    bad = _NOT_IN_A_NAME.search(host)
    if bad is not None:
        raise ArgumentValueError(
            f"{subject} has the character {bad[0]!r} in its hostname: use letters, digits, '.', '-' and '_'"
        )
    name = host.removesuffix(".")
    if len(name) > _MAX_NAME_CHARS:
        raise ArgumentValueError(f"{subject} has a hostname of {len(name)} characters: {_MAX_NAME_CHARS} is the most")
    for label in name.split("."):
        _check_label(label, subject)


def _check_label(label: str, subject: str) -> None:
    if not label:
        raise ArgumentValueError(f"{subject} has an empty label in its hostname: remove the extra '.'")
    if len(label) > _MAX_LABEL_CHARS:
        raise ArgumentValueError(f"{subject} has a label of {len(label)} characters: {_MAX_LABEL_CHARS} is the most")
