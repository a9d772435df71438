"""``SocketAddress`` (rule K3): every spelling that is accepted, every one that is not, and the value."""

from __future__ import annotations

import copy
import pickle
from collections import UserDict
from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longshore.core.addresses import SocketAddress
from longshore.errors import ArgumentTypeError, ArgumentValueError, SocketError
from tests.core.ip_literals import V4_VALID, V6_INVALID, V6_VALID

if TYPE_CHECKING:
    from longshore.core.addresses import AnySocketAddress


class _Text(str):
    """A str of another class, whose spelling lies."""

    __slots__ = ()

    def __str__(self) -> str:
        return "evil:1"


class _Port(int):
    __slots__ = ()


_63 = "x" * 63
_LONGEST_NAME = ".".join([_63, _63, _63, "x" * 61])

ACCEPTED = [
    # id, value, hostname, port, printed
    ("name", "localhost:80", "localhost", 80, "localhost:80"),
    ("upper-case-name", "LocalHost:80", "localhost", 80, "localhost:80"),
    ("final-dot", "localhost.:80", "localhost.", 80, "localhost.:80"),
    ("underscore", "_sip._tcp.example.com:1", "_sip._tcp.example.com", 1, "_sip._tcp.example.com:1"),
    ("a-label", "xn--bcher-kva.example:443", "xn--bcher-kva.example", 443, "xn--bcher-kva.example:443"),
    ("outer-hyphens", "-a-.example:1", "-a-.example", 1, "-a-.example:1"),
    ("longest-name", f"{_LONGEST_NAME}:65535", _LONGEST_NAME, 65535, f"{_LONGEST_NAME}:65535"),
    ("longest-name-final-dot", f"{_LONGEST_NAME}.:1", f"{_LONGEST_NAME}.", 1, f"{_LONGEST_NAME}.:1"),
    ("ipv4", "192.0.2.7:1", "192.0.2.7", 1, "192.0.2.7:1"),
    ("ipv6", "[2001:DB8:0::7]:443", "2001:db8::7", 443, "[2001:db8::7]:443"),
    ("ipv6-with-ipv4", "[64:ff9b::192.0.2.1]:1", "64:ff9b::c000:201", 1, "[64:ff9b::c000:201]:1"),
    ("ipv6-zone", "[fe80::1%eth0]:22", "fe80::1%eth0", 22, "[fe80::1%eth0]:22"),
    ("leading-zeros", "127.0.0.1:010000", "127.0.0.1", 10000, "127.0.0.1:10000"),
    ("str-subclass", _Text("localhost:80"), "localhost", 80, "localhost:80"),
    ("tuple", ("localhost", 80), "localhost", 80, "localhost:80"),
    ("tuple-ipv6", ("::1", 80), "::1", 80, "[::1]:80"),
    ("tuple-ipv6-brackets", ("[::1]", 80), "::1", 80, "[::1]:80"),
    ("list", ["localhost", 80], "localhost", 80, "localhost:80"),
    ("int-subclass", ("localhost", _Port(80)), "localhost", 80, "localhost:80"),
    ("mapping", {"hostname": "localhost", "port": 80}, "localhost", 80, "localhost:80"),
    ("mapping-ipv6", {"hostname": "::1", "port": 80}, "::1", 80, "[::1]:80"),
    ("mapping-ipv6-brackets", {"hostname": "[::1]", "port": 80}, "::1", 80, "[::1]:80"),
    ("other-mapping", UserDict(hostname="localhost", port=80), "localhost", 80, "localhost:80"),
    ("itself", SocketAddress("localhost", 80), "localhost", 80, "localhost:80"),
    # Only the C library takes these for addresses: names, judged by policy after resolution (K4).
    ("legacy-integer", "2130706433:80", "2130706433", 80, "2130706433:80"),
    ("legacy-short", "127.1:80", "127.1", 80, "127.1:80"),
    ("legacy-hexadecimal", "0x7F.1:80", "0x7f.1", 80, "0x7f.1:80"),
    ("legacy-octal", "0177.0.0.1:80", "0177.0.0.1", 80, "0177.0.0.1:80"),
]

REJECTED = [
    # id, value, error, what the message says
    ("no-port", "localhost", ArgumentValueError, "address 'localhost' has no port: write 'localhost:PORT'"),
    ("no-port-ipv4", "127.0.0.1", ArgumentValueError, "has no port: write '127.0.0.1:PORT'"),
    ("no-port-brackets", "[::1]", ArgumentValueError, "has no port after the bracket"),
    ("empty", "", ArgumentValueError, "address '' has no port"),
    ("empty-port", "localhost:", ArgumentValueError, "has an empty port"),
    ("empty-port-brackets", "[::1]:", ArgumentValueError, "has an empty port"),
    ("empty-host", ":80", ArgumentValueError, "address ':80' has no host"),
    ("empty-host-brackets", "[]:80", ArgumentValueError, "only an IPv6 address stands in brackets"),
    ("empty-host-tuple", ("", 80), ArgumentValueError, "has no host"),
    ("empty-host-mapping", {"hostname": "", "port": 1}, ArgumentValueError, "has no host"),
    ("port-0", "localhost:0", ArgumentValueError, "has port 0: a port is a number from 1 to 65535"),
    ("port-00", "localhost:00", ArgumentValueError, "has port 0"),
    ("port-0-mapping", {"hostname": "localhost", "port": 0}, ArgumentValueError, "has port 0"),
    ("port-99999", "localhost:99999", ArgumentValueError, "has port 99999"),
    ("port-65536", "localhost:65536", ArgumentValueError, "has port 65536"),
    ("port-70000", {"hostname": "localhost", "port": 70000}, ArgumentValueError, "has port 70000"),
    ("port-negative", {"hostname": "localhost", "port": -1}, ArgumentValueError, "has port -1"),
    ("port-negative-text", "localhost:-1", ArgumentValueError, "has port '-1'"),
    (
        "port-sign",
        "localhost:+80",
        ArgumentValueError,
        "has port '+80': a port is written in ASCII digits only",
    ),
    ("port-space-after", "localhost:80 ", ArgumentValueError, "has the character ' ': remove it"),
    ("port-space-before", "localhost: 80", ArgumentValueError, "has the character ' ': remove it"),
    ("port-newline", "localhost:80\n", ArgumentValueError, r"has the character '\n': remove it"),
    (
        "port-fullwidth",
        "localhost:８０",
        ArgumentValueError,
        "has port '８０': a port is written in ASCII digits",
    ),
    ("port-hexadecimal", "localhost:0x50", ArgumentValueError, "has port '0x50'"),
    ("port-name", "localhost:http", ArgumentValueError, "has port 'http'"),
    ("port-fraction-text", "localhost:1.5", ArgumentValueError, "has port '1.5'"),
    (
        "port-float",
        ("localhost", 1.5),
        ArgumentTypeError,
        "has port 1.5 of type float: write an int, like 443",
    ),
    ("port-whole-float", ("localhost", 80.0), ArgumentTypeError, "has port 80.0 of type float"),
    ("port-true", ("localhost", True), ArgumentTypeError, "has port True of type bool"),
    ("port-text-tuple", ("localhost", "80"), ArgumentTypeError, "has port '80' of type str"),
    ("port-text-mapping", {"hostname": "localhost", "port": "80"}, ArgumentTypeError, "of type str"),
    ("port-text-with-space", {"hostname": "localhost", "port": "80 "}, ArgumentTypeError, "of type str"),
    ("port-x", {"hostname": "localhost", "port": "x"}, ArgumentTypeError, "has port 'x' of type str"),
    ("port-bytes", ("localhost", b"80"), ArgumentTypeError, "has port b'80' of type bytes"),
    ("port-none", ("localhost", None), ArgumentTypeError, "has port None of type NoneType"),
    ("bare-ipv6", "::1:80", ArgumentValueError, "has an IPv6 address without brackets: write '[::1]:80'"),
    (
        "bare-ipv6-no-port",
        "2001:db8::abcd",
        ArgumentValueError,
        "without a port: write '[2001:db8::abcd]:PORT'",
    ),
    ("two-colons", "a:b:1", ArgumentValueError, "has more than one colon"),
    ("open-bracket", "[::1:80", ArgumentValueError, "has no closing bracket"),
    ("close-bracket", "::1]:80", ArgumentValueError, "has more than one colon"),
    ("text-after-bracket", "[::1]x:80", ArgumentValueError, "has no port after the bracket"),
    ("ipv4-in-brackets", "[127.0.0.1]:80", ArgumentValueError, "only an IPv6 address stands in brackets"),
    ("name-in-brackets", "[localhost]:80", ArgumentValueError, "only an IPv6 address stands in brackets"),
    ("ipv6-with-port-in-mapping", {"hostname": "[::1]:80", "port": 80}, ArgumentValueError, "in brackets"),
    ("port-twice", ("localhost:80", 80), ArgumentValueError, "a name has neither ':' nor '%'"),
    ("percent", "a%b:1", ArgumentValueError, "a name has neither ':' nor '%'"),
    ("zone-on-loopback", "[::1%eth0]:80", ArgumentValueError, "only an IPv6 address stands in brackets"),
    ("space", "a b:1", ArgumentValueError, "address 'a b:1' has the character ' ': remove it"),
    ("nul", "a\x00:1", ArgumentValueError, "has the character '\\x00': remove it"),
    ("scheme", "tcp://localhost:80", ArgumentValueError, "has a scheme or a path"),
    ("path", "localhost:1/foo", ArgumentValueError, "has a scheme or a path"),
    ("backslash", "localhost:1\\foo", ArgumentValueError, "has a backslash"),
    ("query", "localhost:1?a", ArgumentValueError, "has a query"),
    ("fragment", "localhost:1#a", ArgumentValueError, "has a fragment"),
    (
        "user-information",
        "u:p@localhost:1",
        ArgumentValueError,
        "address '…@localhost:1' has user information",
    ),
    ("user-information-tuple", ("u:p@localhost", 1), ArgumentValueError, "has user information"),
    ("exclamation-mark", "my_host!:1", ArgumentValueError, "has the character '!' in its hostname"),
    ("star", "*.example.com:1", ArgumentValueError, "has the character '*' in its hostname"),
    ("64-stars", ("*" * 64, 1), ArgumentValueError, "has the character '*' in its hostname"),
    (
        "u-label",
        "bücher.example:1",
        ArgumentValueError,
        "write an internationalised name in its ASCII form (xn--…)",
    ),
    ("kelvin-sign", "\u212aelvin.example:1", ArgumentValueError, "in its ASCII form"),
    ("ideographic-dot", "a。b:1", ArgumentValueError, "in its ASCII form"),
    ("leading-dot", ".a:1", ArgumentValueError, "has an empty label"),
    ("inner-dots", "a..b:1", ArgumentValueError, "has an empty label"),
    ("final-dots", "a..:1", ArgumentValueError, "has an empty label"),
    ("only-dot", ".:1", ArgumentValueError, "has an empty label"),
    (
        "long-name",
        f"{_LONGEST_NAME}x:1",
        ArgumentValueError,
        "has a hostname of 254 characters: 253 is the most",
    ),
    ("long-label", "x" * 64 + ":1", ArgumentValueError, "has a label of 64 characters: 63 is the most"),
    ("long-text", "x" * 301, ArgumentValueError, "has 301 characters: the most is 300"),
    ("long-zeros", "localhost:" + "0" * 300 + "80", ArgumentValueError, "the most is 300"),
    ("none", None, ArgumentTypeError, "address None has type NoneType: write 'host:port'"),
    ("int", 80, ArgumentTypeError, "address 80 has type int"),
    ("bytes", b"localhost:80", ArgumentTypeError, "has type bytes"),
    ("set", {"localhost", 80}, ArgumentTypeError, "has type set"),
    ("bytes-host", (b"localhost", 80), ArgumentTypeError, "has hostname b'localhost' of type bytes"),
    (
        "ip-object-host",
        (IPv4Address("127.0.0.1"), 80),
        ArgumentTypeError,
        "of type IPv4Address: a hostname is a str",
    ),
    ("one-item", ("localhost",), ArgumentTypeError, "has 1 items: write (host, port)"),
    ("peername-of-ipv6", ("::1", 80, 0, 0), ArgumentTypeError, "has 4 items: write (host, port)"),
    ("no-keys", {}, ArgumentTypeError, "has no 'hostname': the keys are 'hostname' and 'port'"),
    ("no-port-key", {"hostname": "localhost"}, ArgumentTypeError, "has no 'port'"),
    ("other-key", {"host": "a", "port": 1}, ArgumentTypeError, "has the unknown key 'host'"),
    ("extra-key", {"hostname": "a", "port": 1, "tls": 1}, ArgumentTypeError, "has the unknown key 'tls'"),
    ("key-of-other-type", {1: 2}, ArgumentTypeError, "has the unknown key 1"),
]


def parse(value: object) -> SocketAddress:
    return SocketAddress.parse(cast("AnySocketAddress", value))


@pytest.mark.parametrize(
    ("value", "hostname", "port", "printed"), [pytest.param(*case, id=id_) for id_, *case in ACCEPTED]
)
def test_accepted(value: object, hostname: str, port: int, printed: str) -> None:
    """K3: parsed once into one value, which is printed as it will be connected."""
    address = parse(value)
    assert (address.hostname, address.port, str(address)) == (hostname, port, printed)
    assert type(address.hostname) is str
    assert type(address.port) is int
    assert parse(printed) == address


@pytest.mark.parametrize(("value", "error", "says"), [pytest.param(*case, id=id_) for id_, *case in REJECTED])
def test_rejected(value: object, error: type[SocketError], says: str) -> None:
    """K3: the message names the argument, the value and the rule."""
    with pytest.raises(error) as raised:
        parse(value)
    assert str(raised.value).startswith("address ")
    assert says in str(raised.value)


def test_rejection_does_not_show_a_password() -> None:
    """K3: user information is refused without being repeated."""
    for value in ["user:secret@localhost:1", ("user:secret@localhost", 1), "postgres://u:secret@h:1/db"]:
        with pytest.raises(ArgumentValueError) as raised:
            parse(value)
        assert "secret" not in str(raised.value)


def test_rejection_of_a_long_value_is_short() -> None:
    """K3: at most 80 characters of the value are quoted."""
    with pytest.raises(ArgumentValueError) as raised:
        parse("x" * 10_000)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("text", V4_VALID)
def test_ipv4_literals_are_the_same_in_every_form(text: str) -> None:
    """K3: ``net.isIPv4``'s table, whole."""
    forms = [f"{text}:80", (text, 80), {"hostname": text, "port": 80}]
    assert {parse(form) for form in forms} == {SocketAddress(text, 80)}
    assert parse(forms[0]).ip == IPv4Address(text)


@pytest.mark.parametrize("text", V6_VALID)
def test_ipv6_literals_are_the_same_in_every_form(text: str) -> None:
    """K3: ``net.isIPv6``'s table, whole; brackets are needed where a port follows, and allowed elsewhere."""
    forms = [f"[{text}]:80", (text, 80), (f"[{text}]", 80), {"hostname": text, "port": 80}]
    assert {parse(form) for form in forms} == {SocketAddress(text, 80)}
    assert parse(forms[0]).ip == IPv6Address(text)
    with pytest.raises(ArgumentValueError):
        parse(f"{text}:80")


@pytest.mark.parametrize("text", V6_INVALID)
def test_text_that_is_not_ipv6_is_refused_in_brackets(text: str) -> None:
    """K3: the other half of ``net.isIPv6``'s table."""
    with pytest.raises(ArgumentValueError):
        parse(f"[{text}]:80")


def test_nodes_socket_address_forms() -> None:
    """K3: what node's ``SocketAddress`` takes and refuses (a port of 0 and a default are its own)."""
    ipv4, ipv6 = parse("192.168.1.100:8080"), parse("[::1]:3000")
    assert (ipv4.ip, ipv4.port) == (IPv4Address("192.168.1.100"), 8080)
    assert (ipv6.ip, ipv6.port) == (IPv6Address("::1"), 3000)
    for wrong in [
        "invalid",
        "",
        "invalid::ipv6",
        ("invalid::ipv6", 1),
        ("localhost", -1),
        ("localhost", 65536),
    ]:
        with pytest.raises(ArgumentValueError):
            parse(wrong)
    # What cannot be an IPv4 address is left to the resolver, which knows none of that name.
    assert not parse("300.300.300.300:1").is_literal


def test_constructor_checks_like_parse() -> None:
    """K3: no wrong value of this type exists."""
    assert SocketAddress("[::1]", 80) == parse("[::1]:80")
    assert SocketAddress("LOCALHOST", 80).hostname == "localhost"
    with pytest.raises(ArgumentValueError, match=r"address \('localhost', 0\) has port 0"):
        SocketAddress("localhost", 0)
    with pytest.raises(ArgumentTypeError, match="has port True of type bool"):
        SocketAddress("localhost", True)
    with pytest.raises(ArgumentValueError, match="has the character ' '"):
        SocketAddress("a b", 1)
    with pytest.raises(ArgumentTypeError, match="a hostname is a str"):
        SocketAddress(cast("str", None), 1)


def test_value_is_immutable_and_comparable() -> None:
    """K3: what was checked cannot change before it is connected."""
    address = SocketAddress("localhost", 80)
    with pytest.raises(FrozenInstanceError):
        address.port = 25  # type: ignore[misc]  # the test of just that
    assert address == parse("LOCALHOST:80")
    assert hash(address) == hash(parse("LOCALHOST:80"))
    assert address != parse("localhost:81")
    assert address != parse("localhost.:80")
    assert parse("[::1]:80") == parse("[0:0:0:0:0:0:0:1]:80")
    assert repr(address) == "SocketAddress(hostname='localhost', port=80)"


@pytest.mark.parametrize("text", ["localhost:80", "[fe80::1%eth0]:80", "127.0.0.1:1"])
def test_value_survives_copies(text: str) -> None:
    """K3: the copy is the same address, its IP object included."""
    address = parse(text)
    for clone in (copy.copy(address), copy.deepcopy(address), pickle.loads(pickle.dumps(address))):
        assert clone == address
        assert clone.ip == address.ip


def test_a_parsed_address_comes_back_as_it_is() -> None:
    """K3: nothing is parsed twice."""
    address = parse("localhost:80")
    assert parse(address) is address
    assert parse("localhost:80") is address


def test_literals_have_an_ip_and_names_have_none() -> None:
    """K3, K4: a literal is judged at once, a name after resolution."""
    assert parse("localhost:1").ip is None
    assert not parse("localhost:1").is_literal
    assert not parse("2130706433:1").is_literal
    assert parse("127.0.0.1:1").ip == IPv4Address("127.0.0.1")
    assert parse("[::1]:1").is_literal
    assert parse("[fe80::1%eth0]:1").ip == IPv6Address("fe80::1%eth0")


@pytest.mark.parametrize(
    ("text", "server_name"),
    [
        ("example.com:1", "example.com"),
        ("example.com.:1", "example.com"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:1", "::1"),
        ("[fe80::1%eth0]:1", "fe80::1"),
    ],
)
def test_server_name_is_what_a_certificate_says(text: str, server_name: str) -> None:
    """K3, K11: without the final dot (RFC 6066 §3) and the zone, which mean nothing to the peer."""
    assert parse(text).server_name == server_name


_ADDRESS_LIKE = st.text("019.:[]%abxé８０ \t\n/@?#\\-_+*", max_size=40)
_LABELS = st.text("abcXYZ019-_", min_size=1, max_size=63)
_NAMES = st.lists(_LABELS, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)
_HOSTS = _NAMES | st.ip_addresses().map(str)
_PORTS = st.integers(1, 65535)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | _ADDRESS_LIKE | _HOSTS | _PORTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["hostname", "port", "host"]) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(_ANYTHING)
@example("[" * 300)
@example(":" * 300)
@example((10**5000, 10**5000))
def test_parse_raises_nothing_else(value: object) -> None:
    """K3: whatever is given, the answer is an address or one of two errors; and what is printed parses."""
    try:
        address = parse(value)
    except (ArgumentTypeError, ArgumentValueError):
        return
    assert parse(str(address)) == address
    assert 1 <= address.port <= 65535


@given(_HOSTS, _PORTS)
def test_every_form_of_a_valid_address_is_one_value(host: str, port: int) -> None:
    """K3: text, pair, list, mapping and value agree, and printing loses nothing."""
    address = SocketAddress(host, port)
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    for form in (text, (host, port), [host, port], {"hostname": host, "port": port}, address, str(address)):
        assert parse(form) == address
        assert parse(form).ip == address.ip


@given(st.ip_addresses(), _PORTS)
def test_literal_is_the_address_that_was_written(ip: IPv4Address | IPv6Address, port: int) -> None:
    """K3: no second parser downstream can read it differently."""
    assert parse((str(ip), port)).ip == ip
    assert ip_address(parse((str(ip), port)).hostname) == ip


@given(_NAMES, _PORTS, st.integers(0, 20))
def test_leading_zeros_never_change_a_port(name: str, port: int, zeros: int) -> None:
    """K3: decimal, never octal."""
    if len(name) < 253:
        assert parse(f"{name}:{'0' * zeros}{port}").port == port
