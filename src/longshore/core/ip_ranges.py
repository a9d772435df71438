"""What an IP address reaches: this host, a private network, or the public Internet (PURE).

Rule K4: an address is judged as what it reaches, however it is spelled. ``::ffff:127.0.0.1``, its NAT64 and
6to4 forms and ``0.0.0.0`` all reach an IPv4 address that a rule may forbid, so there are two questions:

* ``normalize_ip``: which single address does a connection to this one end at? What may be *opened* is
  decided on it alone.
* ``reached_ips``: which addresses may it end at, under every reading? What is *forbidden* is decided on
  all of them.

The table is written out instead of asking ``ipaddress.is_global``, whose answer depends on the Python
release. It follows the IANA special-purpose registries (RFC 6890) and KJ's ``restrictPeers``, and is closed
on the IPv6 side: whatever is not assigned for unicast (2000::/3) is not public.

Not known here, and therefore the operator's to deny: the host's own public addresses, and a NAT64 prefix
of the operator's own network (RFC 6052 §2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress

__all__ = [
    "IpNetwork",
    "IpRange",
    "IpScope",
    "classify_ip",
    "embedding_network",
    "normalize_ip",
    "range_of_ip",
    "reached_ips",
]

IpNetwork: TypeAlias = IPv4Network | IPv6Network

IpScope: TypeAlias = Literal["public", "private", "local"]
"""workerd's names: ``local`` is this host, ``private`` all that the public Internet does not route."""


@dataclass(frozen=True, slots=True)
class IpRange:
    """One row of the table."""

    network: IpNetwork
    scope: IpScope
    name: str
    """What the range is for, with its document, for messages to the operator."""
    is_site: bool = False
    """Whether a private network numbers its own servers from it (not link-local, metadata or reserved)."""


def _row(cidr: str, scope: IpScope, name: str, *, is_site: bool = False) -> IpRange:
    return IpRange(ip_network(cidr), scope, name, is_site)


# The first row that contains the address decides, so the narrow ones stand first.
_V4_RANGES: Final = (
    _row("127.0.0.0/8", "local", "loopback, RFC 1122"),
    _row("0.0.0.0/8", "private", "this network, RFC 791"),
    _row("169.254.169.254/32", "private", "cloud metadata"),
    _row("100.100.100.200/32", "private", "cloud metadata"),
    # A public number, but every Azure machine reaches its platform's control server there.
    _row("168.63.129.16/32", "private", "cloud metadata"),
    _row("10.0.0.0/8", "private", "private use, RFC 1918", is_site=True),
    _row("172.16.0.0/12", "private", "private use, RFC 1918", is_site=True),
    _row("192.168.0.0/16", "private", "private use, RFC 1918", is_site=True),
    _row("100.64.0.0/10", "private", "shared address space, RFC 6598", is_site=True),
    _row("169.254.0.0/16", "private", "link-local, RFC 3927"),
    _row("192.0.0.0/24", "private", "protocol assignments, RFC 6890"),
    _row("192.0.2.0/24", "private", "documentation, RFC 5737"),
    _row("198.51.100.0/24", "private", "documentation, RFC 5737"),
    _row("203.0.113.0/24", "private", "documentation, RFC 5737"),
    _row("192.88.99.0/24", "private", "6to4 relay, RFC 7526"),
    _row("198.18.0.0/15", "private", "benchmarking, RFC 2544"),
    _row("224.0.0.0/4", "private", "multicast, RFC 5771"),
    _row("255.255.255.255/32", "private", "broadcast, RFC 919"),
    _row("240.0.0.0/4", "private", "reserved, RFC 1112"),
    _row("0.0.0.0/0", "public", "public"),
)
_V6_RANGES: Final = (
    _row("::1/128", "local", "loopback, RFC 4291"),
    _row("fd00:ec2::254/128", "private", "cloud metadata"),
    _row("fd20:ce::254/128", "private", "cloud metadata"),
    _row("fc00::/7", "private", "unique local, RFC 4193", is_site=True),
    _row("fe80::/10", "private", "link-local, RFC 4291"),
    _row("fec0::/10", "private", "site-local, RFC 3879"),
    _row("ff00::/8", "private", "multicast, RFC 4291"),
    _row("64:ff9b:1::/48", "private", "local-use NAT64, RFC 8215"),
    _row("100::/64", "private", "discard-only, RFC 6666"),
    _row("2001::/23", "private", "protocol assignments, RFC 2928"),
    _row("2001:db8::/32", "private", "documentation, RFC 3849"),
    _row("3fff::/20", "private", "documentation, RFC 9637"),
    _row("2000::/3", "public", "public"),
    _row("::/0", "private", "reserved, RFC 4291"),
)

# Where an IPv4 address hides in an IPv6 one, and how far from the right it stands. All of them are fixed
# by their documents: only /96 is allowed under the well-known NAT64 prefix (RFC 6052 §3.1).
_EMBEDDINGS: Final = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291 §2.5.5.2
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765 §2.1
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052 §2.1
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056 §2
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291 §2.5.5.1; :: and ::1 are none
)
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_TEREDO: Final = IPv6Network("2001::/32")
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
# Connecting to "any address" connects to this host on every system we know.
_UNSPECIFIED: Final[dict[IpAddress, IpAddress]] = {
    IPv4Address("0.0.0.0"): IPv4Address("127.0.0.1"),  # noqa: S104 - nothing is bound here
    IPv6Address("::"): IPv6Address("::1"),
}
_NOT_COMPATIBLE: Final = frozenset({IPv6Address("::"), IPv6Address("::1")})


def classify_ip(ip: IpAddress) -> IpScope:
    """Return ``"local"``, ``"private"`` or ``"public"`` for what a connection to ``ip`` reaches."""
    return range_of_ip(ip).scope


def range_of_ip(ip: IpAddress) -> IpRange:
    """Return the row of the table that ``normalize_ip(ip)`` falls in; every address has one."""
    judged = normalize_ip(ip)
    rows = _V4_RANGES if isinstance(judged, IPv4Address) else _V6_RANGES
    return next(row for row in rows if judged in row.network)


def normalize_ip(ip: IpAddress) -> IpAddress:
    """Return the address that a connection to ``ip`` ends at.

    An IPv4 address inside an IPv6 one comes out (mapped, translated, NAT64, 6to4, compatible), the
    unspecified address becomes loopback, and a zone is dropped. An address of the local-use NAT64
    prefix stays as it is: where its IPv4 address stands depends on the network (RFC 8215 §5).
    """
    if isinstance(ip, IPv6Address):
        ip = _embedded_ipv4(ip) or _without_zone(ip)
    return _UNSPECIFIED.get(ip, ip)


def reached_ips(ip: IpAddress) -> tuple[IpAddress, ...]:
    """Return every address that a connection to ``ip`` may end at: itself first, then all readings of it."""
    itself = _without_zone(ip) if isinstance(ip, IPv6Address) else ip
    readings = [itself, normalize_ip(itself)]
    if isinstance(itself, IPv6Address):
        readings += _readings_of_tunnels(itself)
    return tuple(dict.fromkeys(readings))


def embedding_network(network: IpNetwork) -> IPv6Network | None:
    """Return the range of embedded IPv4 addresses that ``network`` lies in, or None.

    No address in such a range is ever judged as IPv6, so a rule about it would never open anything.
    """
    if isinstance(network, IPv4Network):
        return None
    return next((outer for outer, _ in _EMBEDDINGS if network.subnet_of(outer)), None)


def _embedded_ipv4(ip: IPv6Address) -> IPv4Address | None:
    bare = _without_zone(ip)
    if bare in _NOT_COMPATIBLE:
        return None
    for network, shift in _EMBEDDINGS:
        if bare in network:
            return IPv4Address(int(bare) >> shift & 0xFFFF_FFFF)
    return None


def _without_zone(ip: IPv6Address) -> IPv6Address:
    return ip if ip.scope_id is None else IPv6Address(int(ip))


def _readings_of_tunnels(ip: IPv6Address) -> list[IpAddress]:
    """Return the IPv4 addresses that ``ip`` may carry where the place is not fixed, or not one.

    An all-zero reading is only the padding of another prefix length, so 0.0.0.0/8 is left out.
    """
    octets = ip.packed
    found: tuple[bytes, ...] = ()
    if ip in _LOCAL_NAT64:
        # RFC 6052 §2.2, prefix lengths 48, 56, 64 and 96; octet 8 is always zero and skipped.
        found = (octets[6:8] + octets[9:11], octets[7:8] + octets[9:12], octets[9:13], octets[12:16])
    elif ip in _TEREDO:
        # RFC 4380 §4: the server, and the client with every bit inverted.
        found = (octets[4:8], bytes(octet ^ 0xFF for octet in octets[12:16]))
    return [reading for reading in map(IPv4Address, found) if reading not in _THIS_NETWORK]
