"""The order in which addresses are tried (RFC 8305 §4; PURE)."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["interleave"]


def interleave(addresses: Iterable[IPv4Address | IPv6Address]) -> list[IPv4Address | IPv6Address]:
    """Alternate the address families, beginning with the family of the first address.

    Args:
        addresses: sorted by the resolver's preference, which is kept inside each family.
    """
    candidates = list(addresses)
    if not candidates:
        return candidates
    first = [ip for ip in candidates if ip.version == candidates[0].version]
    second = [ip for ip in candidates if ip.version != candidates[0].version]
    pairs = chain.from_iterable(zip_longest(first, second))
    return [ip for ip in pairs if ip is not None]
