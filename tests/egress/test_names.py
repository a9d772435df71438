"""Tests of ``longshore.egress.names``."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.egress.names import (
    SYNTHETIC_IPV4,
    SYNTHETIC_IPV6,
    WORKER_IPV4,
    WORKER_IPV6,
    Destination,
    SyntheticNames,
    is_localhost,
    is_synthetic,
)
from longshore.sandbox.network import OWN_V4, OWN_V6

REAL = ip_address("93.184.216.34")
OTHER = ip_address("93.184.216.35")
REAL_V6 = ip_address("2606:2800:220:1::1946")


def test_the_sandbox_gives_the_worker_the_addresses_that_are_kept_free() -> None:
    assert (OWN_V4.ip, OWN_V4.network) == (WORKER_IPV4, SYNTHETIC_IPV4)
    assert (OWN_V6.ip, OWN_V6.network) == (WORKER_IPV6, SYNTHETIC_IPV6)


@pytest.mark.parametrize("real", [REAL, REAL_V6])
def test_an_address_stands_for_a_name_and_comes_back(real: IPv4Address | IPv6Address) -> None:
    names = SyntheticNames()
    given = names.address_for("Db.Example.com.", real)
    assert is_synthetic(given)
    assert given.version == real.version
    assert names.destination(given) == Destination("db.example.com", real, is_synthetic=True)
    assert names.name_of(given) == "db.example.com"


def test_the_same_pair_keeps_its_address_whatever_the_spelling() -> None:
    names = SyntheticNames()
    given = names.address_for("db.example.com", REAL)
    assert names.address_for("DB.example.com.", REAL) == given
    assert len(names) == 1


def test_names_at_one_server_and_servers_of_one_name_have_different_addresses() -> None:
    names = SyntheticNames()
    given = {names.address_for(name, ip) for name in ("a.example", "b.example") for ip in (REAL, OTHER)}
    assert len(given) == 4


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "app.localhost"])
def test_localhost_stays_what_it_is(name: str) -> None:
    names = SyntheticNames()
    loopback = ip_address("127.0.0.1")
    assert is_localhost(name)
    assert names.address_for(name, loopback) == loopback
    names.note_reached(name, loopback)
    assert names.destination(loopback) == Destination("127.0.0.1", loopback, is_synthetic=False)


def test_a_name_that_only_ends_like_localhost_gets_a_synthetic_address() -> None:
    names = SyntheticNames()
    loopback = ip_address("127.0.0.1")
    given = names.address_for("notlocalhost", loopback)
    assert names.destination(given) == Destination("notlocalhost", loopback, is_synthetic=True)


def test_an_address_mapped_into_ipv6_means_the_same() -> None:
    names = SyntheticNames()
    given = names.address_for("db.example.com", REAL)
    mapped = ip_address(f"::ffff:{given}")
    assert names.destination(mapped) == names.destination(given)
    assert names.name_of(mapped) == "db.example.com"


@pytest.mark.parametrize("text", ["198.18.0.1", "198.19.0.1", "198.19.255.255", str(WORKER_IPV4), str(WORKER_IPV6)])
def test_a_synthetic_address_that_nobody_was_given_leads_nowhere(text: str) -> None:
    names = SyntheticNames()
    assert names.destination(ip_address(text)) is None
    assert names.name_of(ip_address(text)) is None


def test_a_literal_is_itself() -> None:
    names = SyntheticNames()
    assert names.destination(REAL) == Destination(str(REAL), REAL, is_synthetic=False)
    assert names.destination(ip_address("::ffff:93.184.216.34")) == Destination(str(REAL), REAL, is_synthetic=False)


def test_a_literal_that_was_reached_under_names_is_known_by_them_the_latest_first() -> None:
    names = SyntheticNames()
    names.note_reached("a.example", REAL)
    names.note_reached("B.example.", REAL)
    names.note_reached("a.example", ip_address("::ffff:93.184.216.34"))
    found = names.destination(REAL)
    assert found == Destination(str(REAL), REAL, is_synthetic=False, also=("a.example", "b.example"))
    assert names.name_of(REAL) == "a.example"
    other = names.destination(OTHER)
    assert other is not None
    assert other.also == ()


def test_names_of_an_address_and_addresses_that_are_remembered_are_bounded() -> None:
    names = SyntheticNames(max_reached=2)
    for number in range(20):
        names.note_reached(f"n{number}.example", REAL)
    found = names.destination(REAL)
    assert found is not None
    assert found.also == tuple(f"n{number}.example" for number in range(19, 11, -1))
    names.note_reached("x.example", OTHER)
    names.note_reached("n0.example", REAL)  # used again: the other is the older one now
    names.note_reached("y.example", REAL_V6)
    assert names.name_of(OTHER) is None
    assert names.name_of(REAL) == "n0.example"


def test_a_synthetic_address_is_never_taken_for_a_reached_one() -> None:
    names = SyntheticNames()
    names.note_reached("a.example", ip_address("198.19.0.1"))
    assert names.destination(ip_address("198.19.0.1")) is None


def test_a_binding_has_a_private_name_for_good() -> None:
    names = SyntheticNames(max_names=1)
    given = names.add_binding("Billing.egress.internal", "BILLING")
    assert names.add_binding("billing.egress.internal", "BILLING") == given
    assert names.binding_address("billing.egress.internal.") == given
    assert names.binding_address("other.egress.internal") is None
    for number in range(5):
        names.address_for("n.example", IPv4Address(number + 1))
    found = names.destination(given)
    assert found == Destination("billing.egress.internal", given, is_synthetic=True, binding="BILLING")
    assert names.name_of(given) == "billing.egress.internal"


def test_the_least_recently_used_pair_goes_first() -> None:
    names = SyntheticNames(max_names=2)
    first, second = names.address_for("a.example", REAL), names.address_for("b.example", REAL)
    assert names.destination(first) is not None  # a connection is a use
    names.address_for("c.example", REAL)
    assert names.destination(second) is None
    assert names.destination(first) is not None
    assert len(names) == 2


def test_a_forgotten_address_means_nothing_else_before_the_range_was_used_up() -> None:
    names = SyntheticNames(max_names=4)
    first = names.address_for("first.example", REAL)
    kept = names.address_for("kept.example", REAL)
    seen = {first, kept}
    for number in range(65_532):
        given = names.address_for("n.example", IPv4Address(number + 1))
        assert given not in seen
        names.address_for("kept.example", REAL)
    assert names.destination(first) is None
    # Round the ring: the first is free and comes again, the one still in use is passed over.
    assert names.address_for("last.example", REAL) == first
    assert names.address_for("last.example", OTHER) == ip_address("198.19.0.3")


def test_all_addresses_are_equally_far_from_the_workers_own() -> None:
    """The C library sorts by the bits in common with the source address (RFC 6724 rule 9)."""
    names = SyntheticNames()
    for own, real in ((WORKER_IPV4, REAL), (WORKER_IPV6, REAL_V6)):
        given = [names.address_for(f"n{number}.example", real) for number in range(2000)]
        assert len({(int(ip) ^ int(own)).bit_length() for ip in given}) == 1


@pytest.mark.parametrize(("names", "reached"), [(0, 1), (16_385, 1), (1, 0)])
def test_sizes_that_cannot_be_kept_are_refused(names: int, reached: int) -> None:
    with pytest.raises(ValueError, match="max_"):
        SyntheticNames(max_names=names, max_reached=reached)


_PAIRS = st.tuples(
    st.sampled_from(["a.example", "b.example", "c.internal"]),
    st.ip_addresses().filter(lambda ip: not is_synthetic(ip)),
)


@given(st.lists(_PAIRS, max_size=60), st.integers(1, 20))
def test_what_is_remembered_maps_back_and_nothing_is_given_twice(
    pairs: list[tuple[str, IPv4Address | IPv6Address]], size: int
) -> None:
    names = SyntheticNames(max_names=size)
    meanings: dict[IPv4Address | IPv6Address, tuple[str, IPv4Address | IPv6Address]] = {}
    for pair in pairs:
        given = names.address_for(*pair)
        assert meanings.setdefault(given, pair) == pair
        found = names.destination(given)
        assert found is not None
        assert (found.hostname, found.ip) == pair
    assert len(names) <= size
    for given, pair in meanings.items():
        found = names.destination(given)
        assert found is None or (found.hostname, found.ip) == pair


@given(st.ip_addresses())
def test_every_address_is_a_literal_or_nothing_for_a_worker_that_asked_for_no_name(
    ip: IPv4Address | IPv6Address,
) -> None:
    found = SyntheticNames().destination(ip)
    assert (found is None) == is_synthetic(ip)
    assert is_synthetic(ip) == any(
        each in network
        for each in (ip, getattr(ip, "ipv4_mapped", None))
        for network in (ip_network("198.18.0.0/15"), SYNTHETIC_IPV6)
        if each is not None
    )
