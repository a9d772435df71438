"""Tests of ``longshore.core.happy_eyeballs`` (RFC 8305 §4, rule K14)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.happy_eyeballs import interleave

A, B, C = (f"192.0.2.{n}" for n in (1, 2, 3))
D, E, F = (f"2001:db8::{n}" for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("given_order", "wanted"),
    [
        ([], []),
        ([A], [A]),
        ([A, B], [A, B]),
        ([D, E, A, B], [D, A, E, B]),
        ([A, B, D, E], [A, D, B, E]),
        ([D, A, B, C], [D, A, B, C]),
        ([A, D, E, F], [A, D, E, F]),
        ([D, E, F, A], [D, A, E, F]),
    ],
)
def test_families_alternate_beginning_with_the_first(given_order: list[str], wanted: list[str]) -> None:
    assert [str(ip) for ip in interleave(map(ip_address, given_order))] == wanted


@given(st.lists(st.ip_addresses(), max_size=12))
def test_nothing_is_lost_and_each_family_keeps_its_order(ips: list[IPv4Address | IPv6Address]) -> None:
    mixed = interleave(ips)
    for version in (4, 6):
        assert [ip for ip in mixed if ip.version == version] == [ip for ip in ips if ip.version == version]


@given(st.lists(st.ip_addresses(), max_size=12))
def test_no_family_waits_longer_than_it_must(ips: list[IPv4Address | IPv6Address]) -> None:
    mixed = interleave(ips)
    fewer = min(sum(ip.version == version for ip in ips) for version in (4, 6))
    head = mixed[: 2 * fewer]
    assert all(first.version != second.version for first, second in pairwise(head))
