"""The text of egress rules: every form, every mistake, and what each covers."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.ip_ranges import range_of_ip
from longshore.errors import ArgumentTypeError, ArgumentValueError
from longshore.policy.rules import Rule, parse_rule, parse_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.core.ip_ranges import IpScope

SCOPES: list[tuple[str, set[IpScope]]] = [
    ("public", {"public"}),
    ("private", {"private", "local"}),
    ("local", {"local"}),
    ("network", {"public", "private", "local"}),
    ("PUBLIC", {"public"}),
]

NETWORKS = [
    # text, network, port
    ("10.0.0.0/8", "10.0.0.0/8", None),
    ("10.0.0.0/8:5432", "10.0.0.0/8", 5432),
    ("0.0.0.0/0", "0.0.0.0/0", None),
    ("::/0", "::/0", None),
    ("192.0.2.7", "192.0.2.7/32", None),
    ("192.0.2.7:443", "192.0.2.7/32", 443),
    ("192.0.2.7/32:0443", "192.0.2.7/32", 443),
    ("2001:db8::7", "2001:db8::7/128", None),
    ("2001:DB8::/32", "2001:db8::/32", None),
    ("[2001:db8::7]", "2001:db8::7/128", None),
    ("[2001:db8::7]:443", "2001:db8::7/128", 443),
    ("[2001:db8::/32]:443", "2001:db8::/32", 443),
    ("::1", "::1/128", None),
    ("[::1]:80", "::1/128", 80),
    ("64:ff9b:1::/48", "64:ff9b:1::/48", None),
    ("fd00:ec2::254", "fd00:ec2::254/128", None),
    ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8/128", None),
    ("[2001:db8::1:443]", "2001:db8::1:443/128", None),
    # One address is taken as what it reaches.
    ("0.0.0.0", "127.0.0.1/32", None),
    ("::", "::1/128", None),
    ("::ffff:10.0.0.1", "10.0.0.1/32", None),
    ("[::ffff:10.0.0.1]:80", "10.0.0.1/32", 80),
    ("64:ff9b::10.0.0.1", "10.0.0.1/32", None),
    ("[2002:a00:1::]:80", "10.0.0.1/32", 80),
]

NAMES = [
    # text, name, is_wildcard, port
    ("db.internal", "db.internal", False, None),
    ("db.internal:5432", "db.internal", False, 5432),
    ("DB.Internal.:5432", "db.internal", False, 5432),
    ("db", "db", False, None),
    ("localhost:8080", "localhost", False, 8080),
    ("*.example.com", "example.com", True, None),
    ("*.example.com:443", "example.com", True, 443),
    ("*.Example.COM.", "example.com", True, None),
    ("*.com", "com", True, None),
    ("xn--bcher-kva.example", "xn--bcher-kva.example", False, None),
    # A word only alone or before a port; and a name like one when a port or a dot says it is a name.
    ("public.example", "public.example", False, None),
    ("*.local", "local", True, None),
    ("publik:80", "publik", False, 80),
    ("publik.", "publik", False, None),
    ("public.", "public", False, None),
    ("publicdb", "publicdb", False, None),
    ("localhost", "localhost", False, None),
    ("unix:80", "unix", False, 80),
]

REJECTED = [
    # text, what the message says
    ("", "covers nothing: write 'public', 'private', 'local'"),
    ("*", "covers nothing"),
    ("*:25", "covers nothing"),
    ("*.", "covers nothing"),
    (":80", "covers nothing"),
    ("publik", "looks like 'public': write that, or 'publik.' for a host"),
    ("privat", "looks like 'private'"),
    ("locals", "looks like 'local'"),
    ("networks", "looks like 'network'"),
    ("unix", "is about Unix sockets"),
    ("unix-abstract", "is about Unix sockets"),
    ("10.0.0.1/8", "has host bits set, write '10.0.0.0/8'"),
    ("2001:db8::1/32", "has host bits set, write '2001:db8::/32'"),
    ("10.0.0.0/33", "is no address range: write it like '10.0.0.0/8'"),
    ("10.0.0.0/-1", "is no address range"),
    ("10.0.0.0/", "is no address range"),
    ("10.0.0.0/8/8", "is no address range"),
    ("10.0.0/8", "is no address range"),
    ("example.com/path", "is no address range"),
    ("http://example.com", "has an empty port|has port '//example.com'"),
    ("10.0.0.0/255.0.0.0", "has a mask: write '10.0.0.0/8'"),
    ("10.0.0.0/0.255.255.255", "has a mask: write '10.0.0.0/8'"),
    ("10.0.0", "is no complete address: write four numbers"),
    ("10.0.0.300", "is no complete address"),
    ("10.0.0.01", "is no complete address"),
    ("127.1:80", "is no complete address"),
    ("2130706433", "is no complete address"),
    ("0x7f.1", "is no complete address"),
    ("0x7f000001", "is no complete address"),
    ("*.0.0.1", "is no complete address"),
    ("*.10.0.0.1", "is no complete address"),
    ("::1:80", r"is ambiguous: write '\[::1:80\]' or '\[::1\]:80'"),
    ("2001:db8::1:443", r"is ambiguous: write '\[2001:db8::1:443\]' or '\[2001:db8::1\]:443'"),
    ("2001:db8::/32:443", r"is no address range: write it like '10.0.0.0/8' or '\[2001:db8::/32\]:443'"),
    ("a:b:c", "is no address range"),
    (
        "::ffff:10.0.0.0/104",
        "is in ::ffff:0:0/96, where the IPv4 address inside is judged: write the IPv4 range",
    ),
    ("64:ff9b::/96", "write the IPv4 range"),
    ("2002::/16", "write the IPv4 range"),
    ("::/96", "write the IPv4 range"),
    ("fe80::1%eth0", "has a zone"),
    ("[fe80::1%eth0]:22", "has a zone"),
    ("[::1", "has wrong brackets"),
    ("[::1]80", "has wrong brackets"),
    ("[public]", "has wrong brackets"),
    ("[10.0.0.1]:80", "has wrong brackets"),
    ("[::1]:", "has an empty port"),
    ("db:", "has an empty port"),
    ("db:0", "has port 0"),
    ("db:65536", "has port 65536"),
    ("db:1-1024", "a port is written in ASCII digits only"),
    ("db:*", "a port is written in ASCII digits only"),
    ("public:8０", "is not ASCII"),
    ("bücher.example", "is not ASCII: write an internationalised name as 'xn--…'"),
    ("networ\u212a", "is not ASCII"),
    ("public ", "has the character ' ': remove it"),
    ("a b", "has the character ' ': remove it"),
    ("u:p@db:1", "has user information"),
    ("db?x", "has a query"),
    ("a.*.b", r"has the character '\*' in its hostname"),
    ("*a.b", r"has the character '\*' in its hostname"),
    ("a..b", "has an empty label"),
    ("x" * 64, "has a label of 64 characters"),
]


@pytest.mark.parametrize(("text", "scopes"), SCOPES)
def test_word_stands_for_its_scopes(text: str, scopes: set[IpScope]) -> None:
    """K4: workerd's words, ``private`` covering ``local``."""
    assert parse_rule(text) == Rule(text, scopes=frozenset(scopes))
    assert parse_rule(f"{text}:25") == Rule(f"{text}:25", 25, scopes=frozenset(scopes))


@pytest.mark.parametrize(("text", "network", "port"), NETWORKS)
def test_address_or_range(text: str, network: str, port: int | None) -> None:
    """K4."""
    assert parse_rule(text) == Rule(text, port, network=ip_network(network))


@pytest.mark.parametrize(("text", "name", "is_wildcard", "port"), NAMES)
def test_name(text: str, name: str, is_wildcard: bool, port: int | None) -> None:
    """K4."""
    assert parse_rule(text) == Rule(text, port, name=name, is_wildcard=is_wildcard)


@pytest.mark.parametrize(("text", "says"), REJECTED)
def test_wrong_rule_is_named(text: str, says: str) -> None:
    """K4: a mistake is an error, never a rule that quietly covers nothing."""
    with pytest.raises(ArgumentValueError, match=says) as raised:
        parse_rule(text, "deny")
    assert str(raised.value).startswith("rule ")
    assert " in deny " in str(raised.value)


@pytest.mark.parametrize("text", [None, 25, b"public", ["public"]])
def test_rule_of_another_type_is_refused(text: object) -> None:
    """K4."""
    with pytest.raises(ArgumentTypeError, match=r"rule .+ in rules has type \w+: write 'public'"):
        parse_rule(cast("str", text))


@pytest.mark.parametrize("texts", ["public", b"public", {"public": 1}, None, 5])
def test_rules_are_a_list(texts: object) -> None:
    """K4: one str is not a list of one-letter rules."""
    with pytest.raises(ArgumentTypeError, match=r"allow is .+: write a list of rules, like \['public'\]"):
        parse_rules(cast("Iterable[str]", texts), "allow")


def test_list_is_parsed_in_order() -> None:
    """K4."""
    assert parse_rules(["public", "db:1"], "allow") == (parse_rule("public"), parse_rule("db:1"))
    with pytest.raises(ArgumentValueError, match="rule 'publik' in allow"):
        parse_rules(["public", "publik"], "allow")


def test_rule_without_port_covers_every_port() -> None:
    """K4."""
    assert parse_rule("public").covers_port(1)
    assert parse_rule("public:443").covers_port(443)
    assert not parse_rule("public:443").covers_port(80)


@pytest.mark.parametrize(
    ("rule", "covered", "not_covered"),
    [
        ("public", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"], ["10.0.0.1", "127.0.0.1", "::1"]),
        ("private", ["10.0.0.1", "127.0.0.1", "::1", "224.0.0.1", "::ffff:10.0.0.1"], ["8.8.8.8"]),
        (
            "local",
            ["127.0.0.1", "127.1.2.3", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"],
            ["10.0.0.1", "8.8.8.8"],
        ),
        ("network", ["127.0.0.1", "10.0.0.1", "8.8.8.8", "::1"], []),
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "2001:db8::1"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::1"], ["2001:db9::1", "10.0.0.1"]),
        ("::1", ["::1"], ["127.0.0.1", "::2"]),
        ("db.internal", [], ["10.0.0.1", "127.0.0.1"]),
    ],
)
def test_covered_addresses(rule: str, covered: list[str], not_covered: list[str]) -> None:
    """K4."""
    assert [ip for ip in covered if not parse_rule(rule).covers_ip(ip_address(ip))] == []
    assert [ip for ip in not_covered if parse_rule(rule).covers_ip(ip_address(ip))] == []


@pytest.mark.parametrize(
    ("rule", "covered", "not_covered"),
    [
        (
            "db.internal",
            ["db.internal", "DB.INTERNAL", "db.internal."],
            ["a.db.internal", "internal", "xdb.internal"],
        ),
        (
            "*.example.com",
            ["a.example.com", "a.b.example.com", "A.EXAMPLE.com."],
            ["example.com", "aexample.com"],
        ),
        ("*.example.com", [], ["example.com.evil.test", "a.example.com.evil.test", ".example.co"]),
        ("public", [], ["public", "localhost"]),
        ("127.0.0.1", [], ["127.0.0.1", "localhost"]),
    ],
)
def test_covered_names(rule: str, covered: list[str], not_covered: list[str]) -> None:
    """K4: whole labels, whatever the case and a final dot."""
    assert [name for name in covered if not parse_rule(rule).covers_name(name)] == []
    assert [name for name in not_covered if parse_rule(rule).covers_name(name)] == []


PUBLIC, SITE, LINK, META, HERE, RESERVED = (
    "8.8.8.8",
    "10.0.0.5",
    "169.254.1.1",
    "169.254.169.254",
    "127.0.0.1",
    "240.0.0.1",
)


@pytest.mark.parametrize(
    ("rule", "hostname", "opened"),
    [
        ("db.example.com", "db.example.com", [PUBLIC]),
        ("*.example.com", "db.example.com", [PUBLIC]),
        ("*.example.com", "example.com", []),
        ("db", "db", [PUBLIC, SITE]),
        ("db", "DB.", [PUBLIC, SITE]),
        ("db.internal", "db.internal", [PUBLIC, SITE]),
        ("*.cluster.local", "db.ns.svc.cluster.local", [PUBLIC, SITE]),
        ("*.home.arpa", "nas.home.arpa", [PUBLIC, SITE]),
        ("*.arpa", "nas.arpa", [PUBLIC]),
        ("db.notinternal", "db.notinternal", [PUBLIC]),
        ("localhost", "localhost", [PUBLIC, SITE, HERE]),
        ("*.localhost", "app.localhost", [PUBLIC, HERE]),
        ("localhost.example.com", "localhost.example.com", [PUBLIC]),
        ("public", "db", []),
    ],
)
def test_name_rule_opens_what_the_name_can_be_trusted_with(rule: str, hostname: str, opened: list[str]) -> None:
    """K4: DNS rebinding; whoever answers for a name must not choose this host, metadata, or your network."""
    everywhere = [PUBLIC, SITE, LINK, META, HERE, RESERVED]
    parsed = parse_rule(rule)
    assert [ip for ip in everywhere if parsed.opens_name_at(hostname, range_of_ip(ip_address(ip)))] == opened


_RULE_LIKE = st.text("019.:[]/%*abxé８ \t@-_", max_size=30)
_PIECES = st.lists(
    st.sampled_from(["public", "10.0.0.0", "/8", ":80", "*.", "example.com", "[", "::1", "]", "::ffff:0:0", "/96"]),
    max_size=4,
).map("".join)


@given(_RULE_LIKE | _PIECES | st.text() | st.ip_addresses().map(str))
def test_parse_raises_nothing_else(text: str) -> None:
    """K4: text is a rule that covers something definite, or an ArgumentValueError."""
    try:
        rule = parse_rule(text)
    except ArgumentValueError:
        return
    assert rule.text == text
    assert [bool(rule.scopes), rule.network is not None, bool(rule.name)].count(True) == 1
