"""The ways to write an IPv4 address as an IPv6 one, for tests that hide a forbidden address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EMBEDDINGS", "local_nat64"]

EMBEDDINGS: Final[dict[str, Callable[[IPv4Address], IPv6Address]]] = {
    "mapped": lambda ip: IPv6Address(f"::ffff:{ip}"),
    "translated": lambda ip: IPv6Address(f"::ffff:0:{ip}"),
    "compatible": lambda ip: IPv6Address(f"::{ip}"),
    "nat64": lambda ip: IPv6Address(f"64:ff9b::{ip}"),
    "6to4": lambda ip: IPv6Address(b"\x20\x02" + ip.packed + bytes(10)),
    "6to4-with-host": lambda ip: IPv6Address(b"\x20\x02" + ip.packed + b"\x00\x01" + b"\x08" * 8),
}
"""By name: those whose IPv4 address stands at one place, so that they are judged as it."""

_LOCAL_NAT64_PREFIX: Final = IPv6Address("64:ff9b:1::").packed[:6]


def local_nat64(ip: IPv4Address, prefix_length: int) -> IPv6Address:
    """Return ``ip`` behind the local-use NAT64 prefix, cut to 48, 56, 64 or 96 bits (RFC 6052 §2.2)."""
    prefix = _LOCAL_NAT64_PREFIX + bytes(prefix_length // 8 - 6)
    if prefix_length == 96:
        return IPv6Address(prefix + ip.packed)
    # Octet 8 stays zero, and the address is written around it.
    octets = (prefix + ip.packed)[:8] + b"\x00" + (prefix + ip.packed)[8:]
    return IPv6Address(octets.ljust(16, b"\x00"))
