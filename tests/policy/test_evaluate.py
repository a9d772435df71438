"""Egress verdicts (rule K4): the default, each list, names against addresses, and nothing to hide behind."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.addresses import SocketAddress
from longshore.core.ip_ranges import reached_ips
from longshore.errors import ArgumentTypeError, ArgumentValueError, PolicyDenied
from longshore.policy import EgressPolicy
from tests.core.embeddings import EMBEDDINGS, local_nat64
from tests.policy.verdicts import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT = EgressPolicy()


def denied_by(policy: EgressPolicy, destination: str, ip: str | None = None) -> str | None:
    """Return the deciding rule when ``destination`` is denied, resolved to ``ip`` or not; else None."""
    address = SocketAddress.parse(destination)
    try:
        policy.check_name(address)
        if ip is not None:
            policy.check_address(ip_address(ip), address.port, hostname=address.hostname)
    except PolicyDenied as denied:
        return denied.rule
    return None


@pytest.mark.parametrize(
    ("allow", "deny", "destination", "ip", "rule"), [pytest.param(*case, id=id_) for id_, *case in VERDICTS]
)
def test_verdict(allow: Sequence[str], deny: Sequence[str], destination: str, ip: str | None, rule: str | None) -> None:
    """K4: allow, deny and the default, before and after resolution."""
    verdict = denied_by(EgressPolicy(allow, deny), destination, ip)
    if rule is None or not rule.startswith("default"):
        assert verdict == rule
    else:
        assert verdict is not None
        assert verdict.startswith(rule)


@pytest.mark.parametrize(
    ("destination", "printed"),
    [("10.0.0.5:80", "10.0.0.5:80"), ("[::1]:80", "[::1]:80"), ("[::FFFF:7F00:1]:80", "[::ffff:")],
)
def test_denial_names_the_destination_and_keeps_the_rule_for_the_operator(destination: str, printed: str) -> None:
    """K4: the message says where and "blocked by policy"; the rule is an attribute."""
    with pytest.raises(PolicyDenied, match=r"^connection to .+ blocked by policy$") as raised:
        DEFAULT.check_name(SocketAddress.parse(destination))
    assert raised.value.address is not None
    assert raised.value.address.startswith(printed)
    assert str(raised.value) == f"connection to {raised.value.address} blocked by policy"
    assert isinstance(raised.value, PermissionError)
    assert raised.value.during == "connect"


def test_denial_after_resolution_does_not_tell_the_address() -> None:
    """K4: untrusted code learns nothing of the network from a denial; the operator does."""
    with pytest.raises(PolicyDenied) as raised:
        DEFAULT.check_address(ip_address("10.0.0.5"), 80, hostname="db.example.com")
    assert str(raised.value) == "connection to db.example.com:80 blocked by policy"
    assert raised.value.rule == "default: not allowed by 'public' (10.0.0.5 is private: private use, RFC 1918)"


def test_denial_counts_the_rules_it_does_not_quote() -> None:
    """K4."""
    policy = EgressPolicy([f"a{n}.example" for n in range(7)])
    quoted = ", ".join(f"'a{n}.example'" for n in range(5))
    assert denied_by(policy, "b.example:1") == f"default: not allowed by {quoted}, 2 more"


def test_default_is_the_public_internet() -> None:
    """K4: workerd's default."""
    assert (DEFAULT.allow, DEFAULT.deny) == (("public",), ())
    assert EgressPolicy() == EgressPolicy(allow=["public"])
    assert hash(EgressPolicy()) == hash(EgressPolicy(allow=["public"]))
    assert repr(DEFAULT) == "EgressPolicy(allow=('public',), deny=())"


def test_wrong_rules_are_refused_when_the_policy_is_made() -> None:
    """K4: with the list and the rule in the message."""
    with pytest.raises(ArgumentValueError, match="rule 'publik' in allow looks like 'public'"):
        EgressPolicy(["publik"])
    with pytest.raises(ArgumentValueError, match=r"rule '10\.0\.0\.1/8' in deny is no address range"):
        EgressPolicy(deny=["10.0.0.1/8"])
    with pytest.raises(ArgumentTypeError, match="deny is 'private': write a list of rules"):
        EgressPolicy(deny="private")
    with pytest.raises(ArgumentTypeError, match="rule 25 in allow has type int"):
        EgressPolicy([cast("str", 25)])


def test_name_that_may_resolve_into_an_allowed_range_is_resolved() -> None:
    """K4: only what no rule could let through is refused before its DNS query."""
    for allow in (["public"], ["10.0.0.0/8"], ["[2001:db8::7]:80"], ["*.example.com"]):
        assert denied_by(EgressPolicy(allow), "a.example.com:80") is None
    assert denied_by(EgressPolicy(["10.0.0.0/8:443", "b.example.com"]), "a.example.com:80") is not None


def test_each_candidate_is_judged_alone() -> None:
    """K4: one good address does not excuse another (DNS rebinding)."""
    candidates = ["8.8.8.8", "127.0.0.1", "2606:4700::1", "::ffff:10.0.0.1"]
    verdicts = [denied_by(DEFAULT, "example.com:443", ip) is None for ip in candidates]
    assert verdicts == [True, False, True, False]


@pytest.mark.parametrize(
    "spelling",
    ["2130706433", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0"],
)
def test_legacy_spelling_of_this_host_is_judged_after_resolution(spelling: str) -> None:
    """K4: a name to us, an address to the C library; what it resolves to is denied."""
    address = SocketAddress.parse((spelling, 80))
    assert not address.is_literal
    DEFAULT.check_name(address)
    resolved = IPv4Address(socket.inet_aton(spelling))
    with pytest.raises(PolicyDenied):
        DEFAULT.check_address(resolved, 80, hostname=address.hostname)


def test_nodes_block_list() -> None:
    """K4: the addresses, ranges and subnets of workerd's ``testBlockList``, as deny rules.

    A range from one address to another is written as the CIDR ranges that make it up.
    """
    blocked = EgressPolicy(
        allow=["network"],
        deny=[
            *["192.168.1.1", "10.0.0.1", "2001:db8::1", "172.16.0.1"],
            *["192.168.2.1", "192.168.2.2/31", "192.168.2.4/30", "192.168.2.8/31", "192.168.2.10"],
            *["2001:db8::10/124", "2001:db8::20"],
            *["172.16.1.1", "172.16.1.2/31", "172.16.1.4/31"],
            *["10.1.0.0/24", "2001:db8:1::/48", "172.17.0.0/16", "203.0.113.1", "198.51.100.0/24"],
            *["192.168.10.1", "192.168.11.0/28", "192.168.12.0/24"],
        ],
    )
    hits = [
        *["192.168.1.1", "10.0.0.1", "2001:db8::1", "172.16.0.1"],
        *["192.168.2.1", "192.168.2.5", "192.168.2.10", "2001:db8::15", "2001:db8::10", "2001:db8::20"],
        *["172.16.1.3", "10.1.0.1", "10.1.0.255", "2001:db8:1:ffff::1", "172.17.1.1", "172.17.255.255"],
        *["203.0.113.1", "198.51.100.100"],
        *["::ffff:192.168.10.1", "::ffff:192.168.11.5", "::ffff:192.168.12.100"],
    ]
    misses = [
        *["192.168.1.2", "2001:db8::2", "192.168.2.11", "192.168.1.255", "2001:db8::21"],
        *["172.16.1.6", "10.1.1.1", "2001:db9::1", "172.18.0.1", "203.0.113.2"],
    ]
    assert [ip for ip in hits if denied_by(blocked, "x.example:80", ip) is None] == []
    assert [ip for ip in misses if denied_by(blocked, "x.example:80", ip) is not None] == []


@pytest.mark.parametrize("rule", ["invalid.300", "192.168.1.0/33", "192.168.1.0/-1", "192.168.1.10-192.168.1.1"])
def test_nodes_block_list_errors(rule: str) -> None:
    """K4: what node's BlockList refuses is refused here too."""
    with pytest.raises(ArgumentValueError):
        EgressPolicy(deny=[rule])


_WORDS = st.sampled_from(["public", "private", "local", "network"])
_IP_RULES = st.builds(lambda ip, port: f"{ip}{port}", st.ip_addresses(v=4), st.sampled_from(["", ":80", ":443"]))
_CIDRS = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "127.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1", "169.254.0.0/16:80"])
_V6_RULES = st.sampled_from(["::/0", "2000::/3", "fc00::/7", "[::1]:80", "64:ff9b:1::/48"])
_V4_LISTS = st.lists(_WORDS | _IP_RULES | _CIDRS, max_size=4)
_LISTS = st.lists(_WORDS | _IP_RULES | _CIDRS | _V6_RULES | st.sampled_from(["*.example", "a.example:80"]), max_size=4)
_PORTS = st.sampled_from([25, 80, 443, 5432])
_V4 = st.ip_addresses(v=4) | st.sampled_from(
    [IPv4Address(text) for text in ("0.0.0.0", "127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8")]
)
_HIDDEN = st.builds(lambda embed, ip: embed(ip), st.sampled_from(list(EMBEDDINGS.values())), _V4)
_ANY_IP = st.ip_addresses() | _V4 | _HIDDEN | st.builds(local_nat64, _V4, st.sampled_from([48, 56, 64, 96]))


def is_allowed(policy: EgressPolicy, ip: IPv4Address | IPv6Address, port: int, hostname: str) -> bool:
    try:
        policy.check_address(ip, port, hostname=hostname)
    except PolicyDenied:
        return False
    return True


@given(_LISTS, _LISTS, _ANY_IP, _PORTS)
def test_literal_and_resolved_address_get_the_same_verdict(
    allow: list[str], deny: list[str], ip: IPv4Address | IPv6Address, port: int
) -> None:
    """K4: what is judged as text and what is judged as the address to connect never differ."""
    policy = EgressPolicy(allow, deny)
    address = SocketAddress(str(ip), port)
    assert (denied_by(policy, str(address)) is None) == is_allowed(policy, ip, port, address.hostname)
    # A name that no rule mentions changes nothing either.
    assert is_allowed(policy, ip, port, address.hostname) == is_allowed(policy, ip, port, "x.invalid")


@pytest.mark.parametrize("embed", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
@given(allow=_V4_LISTS, deny=_V4_LISTS, ip=_V4, port=_PORTS)
def test_hiding_an_address_changes_nothing(
    embed: Callable[[IPv4Address], IPv6Address], allow: list[str], deny: list[str], ip: IPv4Address, port: int
) -> None:
    """K4: v4-mapped, v4-translated, v4-compatible, NAT64 and 6to4 spellings get the plain address's verdict."""
    hidden = embed(ip)
    if hidden in {IPv6Address("::"), IPv6Address("::1")}:
        return
    policy = EgressPolicy(allow, deny)
    assert is_allowed(policy, hidden, port, str(hidden)) == is_allowed(policy, ip, port, str(ip))


@given(_V4, st.sampled_from([48, 56, 64, 96]), _PORTS)
def test_denied_address_is_denied_behind_local_nat64(ip: IPv4Address, prefix_length: int, port: int) -> None:
    """K4: whatever prefix length the network uses."""
    policy = EgressPolicy(["network", "network:25"], [str(ip)])
    hidden = local_nat64(ip, prefix_length)
    if ip in reached_ips(hidden):
        assert not is_allowed(policy, hidden, port, str(hidden))


@given(_LISTS, _LISTS, _ANY_IP, _PORTS, st.sampled_from(["a.example", "b.a.example", "db", "localhost"]))
def test_early_denial_is_never_wrong(
    allow: list[str], deny: list[str], ip: IPv4Address | IPv6Address, port: int, hostname: str
) -> None:
    """K4: a name refused before resolution would be refused at every address."""
    policy = EgressPolicy(allow, deny)
    if denied_by(policy, f"{hostname}:{port}") is not None:
        assert not is_allowed(policy, ip, port, hostname)


@given(_LISTS, _LISTS, _LISTS, _ANY_IP, _PORTS)
def test_deny_only_closes_and_allow_only_opens(
    allow: list[str], deny: list[str], more: list[str], ip: IPv4Address | IPv6Address, port: int
) -> None:
    """K4: deny wins; the order of rules never matters."""
    before = is_allowed(EgressPolicy(allow, deny), ip, port, "a.example")
    assert is_allowed(EgressPolicy(allow, [*deny, *more]), ip, port, "a.example") <= before
    assert is_allowed(EgressPolicy([*more, *allow], deny), ip, port, "a.example") >= before
    assert is_allowed(EgressPolicy(allow[::-1], deny[::-1]), ip, port, "a.example") == before


@given(_ANY_IP, st.sampled_from(["a.example", "db", "localhost", "db.internal"]))
def test_default_opens_only_public_addresses_and_never_port_25(ip: IPv4Address | IPv6Address, hostname: str) -> None:
    """K4: whatever a name resolves to."""
    assert not is_allowed(DEFAULT, ip, 25, hostname)
    if is_allowed(DEFAULT, ip, 443, hostname):
        assert all(not (reading.is_loopback or reading.is_link_local) for reading in reached_ips(ip))
