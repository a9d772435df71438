"""Hosts and ports as text (rule K3): the tables of ``ip_literals``, and the edges of each function."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.host_syntax import (
    check_port,
    join_host_port,
    parse_host,
    parse_port,
    reject_url_characters,
    try_parse_ip,
)
from longshore.errors import ArgumentTypeError, ArgumentValueError
from tests.core.ip_literals import IS_IP, V4_INVALID, V4_VALID, V6_INVALID, V6_VALID

SUBJECT = "address 'x'"


@pytest.mark.parametrize("text", V4_VALID)
def test_ipv4_literal_is_recognised(text: str) -> None:
    """K3: what Node calls IPv4 is IPv4, and the operating system reads the same four octets."""
    ip = try_parse_ip(text)
    assert isinstance(ip, IPv4Address)
    assert ip.packed == socket.inet_pton(socket.AF_INET, text)


@pytest.mark.parametrize("text", V6_VALID)
def test_ipv6_literal_is_recognised(text: str) -> None:
    """K3: what Node calls IPv6 is IPv6, and the operating system reads the same sixteen octets."""
    ip = try_parse_ip(text)
    assert isinstance(ip, IPv6Address)
    assert ip.packed == socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    assert ip.scope_id == (text.partition("%")[2] or None)


@pytest.mark.parametrize("text", [*V4_INVALID, *V6_INVALID])
def test_text_that_is_no_literal_is_not_taken_for_one(text: str) -> None:
    """K3: what Node calls no address is none here: refused, or a name that has yet to be resolved."""
    assert try_parse_ip(text) is None
    try:
        hostname, ip = parse_host(text, SUBJECT)
    except ArgumentValueError:
        return
    assert (hostname, ip) == (text.lower(), None)


@pytest.mark.parametrize(("text", "version"), IS_IP)
def test_version_is_the_one_that_node_answers(text: str, version: int) -> None:
    """K3: ``net.isIP``."""
    ip = try_parse_ip(text)
    assert (ip.version if ip else 0) == version


@pytest.mark.parametrize(
    "zone",
    ["eth0", "1", "eth0.100", "br-lan", "a_b", "~x", "x" * 15],
)
def test_zone_of_a_link_local_literal_is_kept(zone: str) -> None:
    """K3: RFC 4007 §11."""
    assert parse_host(f"fe80::1%{zone}", SUBJECT) == (f"fe80::1%{zone}", IPv6Address(f"fe80::1%{zone}"))


@pytest.mark.parametrize(
    "literal",
    [
        pytest.param("::1%eth0", id="loopback"),
        pytest.param("2001:db8::1%eth0", id="global"),
        pytest.param("::ffff:127.0.0.1%eth0", id="mapped"),
        pytest.param("fe80::1%", id="empty"),
        pytest.param("fe80::1%eth0%eth1", id="two"),
        pytest.param("fe80::1%" + "x" * 16, id="longer-than-an-interface-name"),
        pytest.param("fe80::1%é", id="not-ascii"),
        pytest.param("fe80::1%a:b", id="colon"),
    ],
)
def test_wrong_zone_is_refused(literal: str) -> None:
    """K3: a zone that cannot be meant would be printed, but not connected to."""
    assert try_parse_ip(literal) is None
    with pytest.raises(ArgumentValueError, match="zone"):
        parse_host(literal, SUBJECT)


@pytest.mark.parametrize(
    ("text", "hostname"),
    [
        ("localhost", "localhost"),
        ("LocalHost.", "localhost."),
        ("_dmarc.example", "_dmarc.example"),
        ("127.1", "127.1"),
        ("[::1]", "::1"),
        ("2001:DB8::0", "2001:db8::"),
    ],
)
def test_host_comes_back_in_its_canonical_spelling(text: str, hostname: str) -> None:
    """K3."""
    assert parse_host(text, SUBJECT)[0] == hostname


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no host"),
        ("a/b", "has a scheme or a path"),
        ("[::1", "only an IPv6 address stands in brackets"),
        ("::1]", "only an IPv6 address stands in brackets"),
        ("[127.0.0.1]", "only an IPv6 address stands in brackets"),
        ("a:b", "a name has neither ':' nor '%'"),
        ("é", "write an internationalised name in its ASCII form"),
        ("a!", "has the character '!' in its hostname"),
        ("a" * 300, "has a hostname of 300 characters: 253 is the most"),
        ("a" * 64, "has a label of 64 characters: 63 is the most"),
        ("a..b", "has an empty label"),
    ],
)
def test_wrong_host_is_refused(text: str, says: str) -> None:
    """K3: in the sentence whose subject the caller gave."""
    with pytest.raises(ArgumentValueError) as raised:
        parse_host(text, SUBJECT)
    assert str(raised.value).startswith(f"{SUBJECT} ")
    assert says in str(raised.value)


@pytest.mark.parametrize("host", [None, 1, b"localhost", IPv4Address("127.0.0.1")])
def test_host_of_another_type_is_refused(host: object) -> None:
    """K3."""
    with pytest.raises(ArgumentTypeError, match=r"address 'x' has hostname .+ of type \w+: a hostname is a str"):
        parse_host(host, SUBJECT)


@pytest.mark.parametrize("port", [1, 80, 65535])
def test_port_in_range_is_returned(port: int) -> None:
    """K3."""
    assert check_port(port, SUBJECT) == port
    assert parse_port(str(port), SUBJECT) == port


@pytest.mark.parametrize("port", [0, -1, 65536, 65537, 70000, pytest.param(10**5000, id="huge")])
def test_port_out_of_range_is_refused(port: int) -> None:
    """K3: node's ERR_SOCKET_BAD_PORT cases among them."""
    with pytest.raises(ArgumentValueError, match="a port is a number from 1 to 65535"):
        check_port(port, SUBJECT)


@pytest.mark.parametrize("port", [True, False, 1.5, 80.0, "80", b"80", None, [80]])
def test_port_of_another_type_is_refused(port: object) -> None:
    """K3: no truncation, no conversion."""
    with pytest.raises(ArgumentTypeError, match=r"address 'x' has port .* of type \w+: write an int"):
        check_port(port, SUBJECT)


@pytest.mark.parametrize(("text", "port"), [("010000", 10000), ("00080", 80), ("000000000001", 1)])
def test_leading_zeros_do_not_make_a_port_octal(text: str, port: int) -> None:
    """K3: ``010000`` is ten thousand, never 4096."""
    assert parse_port(text, SUBJECT) == port


@pytest.mark.parametrize("text", ["", "+80", "-1", "1.5", "0x50", "1e3", "8 0", "８０", "٨٠", "²", "8_0", "http"])
def test_port_text_that_is_not_decimal_digits_is_refused(text: str) -> None:
    """K3."""
    with pytest.raises(ArgumentValueError, match="port"):
        parse_port(text, SUBJECT)


@pytest.mark.parametrize("text", ["0", "000", "65536", "100000", "9" * 5000])
def test_port_text_out_of_range_is_refused(text: str) -> None:
    """K3: also where ``int()`` itself would refuse the text."""
    with pytest.raises(ArgumentValueError, match="a port is a number from 1 to 65535"):
        parse_port(text, SUBJECT)


@pytest.mark.parametrize("text", ["a b", "a\tb", "a\n", "\x00", "a\x7f", "a\u200b", "a\u2028", "\ud800"])
def test_white_space_and_control_characters_are_named(text: str) -> None:
    """K3."""
    with pytest.raises(ArgumentValueError, match=r"has the character '.+': remove it"):
        reject_url_characters(text, SUBJECT)


@given(st.ip_addresses())
def test_every_address_is_read_back(ip: IPv4Address | IPv6Address) -> None:
    """K3."""
    assert parse_host(str(ip), SUBJECT) == (str(ip), ip)


@pytest.mark.parametrize(
    ("hostname", "joined"),
    [
        ("localhost", "localhost:1"),
        ("127.0.0.1", "127.0.0.1:1"),
        ("::1", "[::1]:1"),
        ("fe80::1%e", "[fe80::1%e]:1"),
    ],
)
def test_host_and_port_are_joined(hostname: str, joined: str) -> None:
    """K3: one spelling, which ``SocketAddress.parse`` takes."""
    assert join_host_port(hostname, 1) == joined
