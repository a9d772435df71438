"""What an address reaches (rule K4): the table's edges, and every way to hide one address in another."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.ip_ranges import (
    IpScope,
    classify_ip,
    embedding_network,
    normalize_ip,
    range_of_ip,
    reached_ips,
)
from tests.core.embeddings import EMBEDDINGS, local_nat64

RANGES: list[tuple[str, IpScope]] = [
    ("127.0.0.0/8", "local"),
    ("0.0.0.0/32", "local"),
    ("0.0.0.1/32", "private"),
    ("0.255.255.255/32", "private"),
    ("1.0.0.0/8", "public"),
    ("9.255.255.255/32", "public"),
    ("10.0.0.0/8", "private"),
    ("11.0.0.0/32", "public"),
    ("100.63.255.255/32", "public"),
    ("100.64.0.0/10", "private"),
    ("100.100.100.200/32", "private"),
    ("100.128.0.0/32", "public"),
    ("126.255.255.255/32", "public"),
    ("128.0.0.0/32", "public"),
    ("168.63.129.15/32", "public"),
    ("168.63.129.16/32", "private"),
    ("168.63.129.17/32", "public"),
    ("169.253.255.255/32", "public"),
    ("169.254.0.0/16", "private"),
    ("169.254.169.254/32", "private"),
    ("169.255.0.0/32", "public"),
    ("172.15.255.255/32", "public"),
    ("172.16.0.0/12", "private"),
    ("172.32.0.0/32", "public"),
    ("191.255.255.255/32", "public"),
    ("192.0.0.0/24", "private"),
    ("192.0.1.0/24", "public"),
    ("192.0.2.0/24", "private"),
    ("192.0.3.0/32", "public"),
    ("192.88.98.255/32", "public"),
    ("192.88.99.0/24", "private"),
    ("192.88.100.0/32", "public"),
    ("192.167.255.255/32", "public"),
    ("192.168.0.0/16", "private"),
    ("192.169.0.0/32", "public"),
    ("198.17.255.255/32", "public"),
    ("198.18.0.0/15", "private"),
    ("198.20.0.0/32", "public"),
    ("198.51.99.255/32", "public"),
    ("198.51.100.0/24", "private"),
    ("198.51.101.0/32", "public"),
    ("203.0.112.255/32", "public"),
    ("203.0.113.0/24", "private"),
    ("203.0.114.0/32", "public"),
    ("223.255.255.255/32", "public"),
    ("224.0.0.0/4", "private"),
    ("240.0.0.0/4", "private"),
    ("255.255.255.255/32", "private"),
    ("::/128", "local"),
    ("::1/128", "local"),
    ("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff/128", "private"),
    ("64:ff9b::1:0:0/128", "private"),
    ("64:ff9b:1::/48", "private"),
    ("100::/64", "private"),
    ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "private"),
    ("2000::/16", "public"),
    ("2001::/23", "private"),
    ("2001:200::/128", "public"),
    ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff/128", "public"),
    ("2001:db8::/32", "private"),
    ("2001:db9::/128", "public"),
    ("2003::/16", "public"),
    ("2606:4700::/32", "public"),
    ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "public"),
    ("3fff::/20", "private"),
    ("3fff:1000::/128", "public"),
    ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "public"),
    ("4000::/128", "private"),
    ("5f00::/16", "private"),
    ("fc00::/7", "private"),
    ("fd00:ec2::254/128", "private"),
    ("fd20:ce::254/128", "private"),
    ("fe80::/10", "private"),
    ("fec0::/10", "private"),
    ("ff00::/8", "private"),
]

NORMALIZED = [
    # address, what a connection to it ends at
    ("192.0.2.1", "192.0.2.1"),
    ("2001:db8::1", "2001:db8::1"),
    ("0.0.0.0", "127.0.0.1"),
    ("::", "::1"),
    ("::1", "::1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("::ffff:0.0.0.0", "127.0.0.1"),
    ("::ffff:127.0.0.1", "127.0.0.1"),
    ("::ffff:0:192.0.2.1", "192.0.2.1"),
    ("64:ff9b::192.0.2.1", "192.0.2.1"),
    ("64:ff9b::169.254.169.254", "169.254.169.254"),
    ("64:ff9b::", "127.0.0.1"),
    ("2002:c000:201::", "192.0.2.1"),
    ("2002:c000:201:ffff:1:2:3:4", "192.0.2.1"),
    ("2002:7f00:1::1", "127.0.0.1"),
    ("::192.0.2.1", "192.0.2.1"),
    ("::2", "0.0.0.2"),
    ("fe80::1%eth0", "fe80::1"),
    # Not at a fixed place, or only one of two: judged as IPv6, and forbidden by its IPv4 readings too.
    ("64:ff9b:1::192.0.2.1", "64:ff9b:1::192.0.2.1"),
    ("2001:0:c000:201::1", "2001:0:c000:201::1"),
    # One bit beside an embedding.
    ("::fffe:192.0.2.1", "::fffe:192.0.2.1"),
    ("64:ff9b:0:0:0:1:c000:201", "64:ff9b:0:0:0:1:c000:201"),
    ("2003:c000:201::", "2003:c000:201::"),
]

REACHED = [
    # address, all readings
    ("192.0.2.1", ["192.0.2.1"]),
    ("2001:db8::1", ["2001:db8::1"]),
    ("0.0.0.0", ["0.0.0.0", "127.0.0.1"]),
    ("::", ["::", "::1"]),
    ("fe80::1%eth0", ["fe80::1"]),
    ("::ffff:10.0.0.1", ["::ffff:10.0.0.1", "10.0.0.1"]),
    ("64:ff9b::10.0.0.1", ["64:ff9b::10.0.0.1", "10.0.0.1"]),
    ("2002:a00:1::", ["2002:a00:1::", "10.0.0.1"]),
    # RFC 6052 §2.4 shows 192.0.2.33 under each prefix length; here under 64:ff9b:1.
    ("64:ff9b:1::192.0.2.33", ["64:ff9b:1::192.0.2.33", "192.0.2.33"]),
    ("64:ff9b:1:c000:2:2100::", ["64:ff9b:1:c000:2:2100::", "192.0.2.33", "2.33.0.0"]),
    ("64:ff9b:1:c0:0:221::", ["64:ff9b:1:c0:0:221::", "192.0.2.33"]),
    ("64:ff9b:1:0:c0:2:2100:0", ["64:ff9b:1:0:c0:2:2100:0", "192.0.2.33", "33.0.0.0"]),
    # RFC 4380 §4: server 192.0.2.1, client 10.0.0.1 inverted.
    ("2001:0:c000:201:0:ffff:f5ff:fffe", ["2001:0:c000:201:0:ffff:f5ff:fffe", "192.0.2.1", "10.0.0.1"]),
]


@pytest.mark.parametrize(("cidr", "scope"), RANGES)
def test_range_is_in_its_scope_to_both_ends(cidr: str, scope: IpScope) -> None:
    """K4."""
    network = ip_network(cidr)
    ends_and_middle = (network[0], network[network.num_addresses // 2], network[-1])
    assert [classify_ip(ip) for ip in ends_and_middle] == [scope] * 3


@pytest.mark.parametrize(
    ("text", "is_site"),
    [
        ("10.0.0.5", True),
        ("172.31.255.255", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("fd12:3456::1", True),
        ("::ffff:10.0.0.5", True),
        ("100.100.100.200", False),
        ("169.254.169.254", False),
        ("169.254.0.1", False),
        ("fd00:ec2::254", False),
        ("fd20:ce::254", False),
        ("fe80::1", False),
        ("127.0.0.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("8.8.8.8", False),
    ],
)
def test_site_ranges_are_those_a_private_network_numbers_servers_from(text: str, is_site: bool) -> None:
    """K4: what a name rule may open; never metadata or link-local."""
    assert range_of_ip(ip_address(text)).is_site is is_site


def test_range_says_what_it_is_for() -> None:
    """K4: the operator reads why."""
    assert range_of_ip(ip_address("169.254.169.254")).name == "cloud metadata"
    assert range_of_ip(ip_address("::ffff:10.0.0.1")).name == "private use, RFC 1918"
    assert range_of_ip(ip_address("255.255.255.255")).name == "broadcast, RFC 919"


@pytest.mark.parametrize(("text", "judged"), NORMALIZED)
def test_address_is_judged_as_what_it_reaches(text: str, judged: str) -> None:
    """K4."""
    assert normalize_ip(ip_address(text)) == ip_address(judged)


@pytest.mark.parametrize(("text", "readings"), REACHED)
def test_every_reading_of_an_address_is_known(text: str, readings: list[str]) -> None:
    """K4."""
    assert reached_ips(ip_address(text)) == tuple(map(ip_address, readings))


@pytest.mark.parametrize(
    ("cidr", "outer"),
    [
        ("10.0.0.0/8", None),
        ("2001:db8::/32", None),
        ("::/0", None),
        ("64:ff9b:1::/48", None),
        ("::ffff:10.0.0.0/104", "::ffff:0:0/96"),
        ("::ffff:0:0/96", "::ffff:0:0/96"),
        ("::ffff:0:0:0/96", "::ffff:0:0:0/96"),
        ("64:ff9b::/100", "64:ff9b::/96"),
        ("2002:a00::/24", "2002::/16"),
        ("::/96", "::/96"),
    ],
)
def test_ranges_of_embedded_addresses_are_known(cidr: str, outer: str | None) -> None:
    """K4: a rule about one of them would never open anything."""
    assert embedding_network(ip_network(cidr)) == (None if outer is None else IPv6Network(outer))


@given(st.ip_addresses())
def test_every_address_has_a_range_and_one_judgement(ip: IPv4Address | IPv6Address) -> None:
    """K4: judging is total and stable: what was judged is judged the same again."""
    judged = normalize_ip(ip)
    assert normalize_ip(judged) == judged
    assert judged in range_of_ip(ip).network
    assert range_of_ip(judged) == range_of_ip(ip)
    assert {ip, judged} <= set(reached_ips(ip))


@given(st.ip_addresses(v=4))
@pytest.mark.parametrize("embed", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
def test_embedded_address_is_classified_like_the_plain_one(embed: object, ip: IPv4Address) -> None:
    """K4: v4-mapped, v4-translated, v4-compatible, NAT64 and 6to4."""
    assert callable(embed)
    hidden = embed(ip)
    if hidden not in {IPv6Address("::"), IPv6Address("::1")}:
        assert normalize_ip(hidden) == normalize_ip(ip)
        assert range_of_ip(hidden) == range_of_ip(ip)
        assert normalize_ip(ip) in reached_ips(hidden)


@given(st.ip_addresses(v=4), st.sampled_from([48, 56, 64, 96]))
def test_local_nat64_is_private_and_its_ipv4_address_is_a_reading(ip: IPv4Address, prefix_length: int) -> None:
    """K4: RFC 8215 leaves the place open, so every place of RFC 6052 is read."""
    hidden = local_nat64(ip, prefix_length)
    assert classify_ip(hidden) == "private"
    if ip not in IPv4Network("0.0.0.0/8"):
        assert ip in reached_ips(hidden)


@given(st.ip_addresses())
def test_public_is_never_more_than_the_standard_library_thinks(ip: IPv4Address | IPv6Address) -> None:
    """K4: an independent opinion, for what ``public`` opens."""
    if classify_ip(ip) == "public":
        judged = normalize_ip(ip)
        flags = [
            "is_private",
            "is_loopback",
            "is_link_local",
            "is_multicast",
            "is_reserved",
            "is_unspecified",
        ]
        assert [flag for flag in flags if getattr(judged, flag)] == []
