"""Tests of ``longshore.egress.dns_messages``."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.egress.dns_messages import (
    MAX_QUERY_BYTES,
    PASSED_TYPES,
    NotAQuery,
    Query,
    Unanswerable,
    failure,
    no_data,
    no_name,
    parse_query,
    passed_on,
    to_wire,
    with_texts,
)


def wire_of(name: str = "db.example.com", kind: str = "A", **options: object) -> bytes:
    return dns.message.make_query(name, kind, id=0x1234, **options).to_wire()  # type: ignore[arg-type]


def query(name: str = "db.example.com", kind: str = "A", **options: object) -> Query:
    return parse_query(wire_of(name, kind, **options))


def refusal(wire: bytes) -> dns.message.Message:
    with pytest.raises(Unanswerable) as caught:
        parse_query(wire)
    return dns.message.from_wire(caught.value.reply)


def extended_errors(reply: dns.message.Message) -> list[tuple[int, str | None]]:
    return [(option.code, option.text) for option in reply.options if isinstance(option, dns.edns.EDEOption)]


HOSTNAMES = [
    ("Db.Example.COM", "db.example.com"),
    ("_sip._tcp.example.com", "_sip._tcp.example.com"),
    ("single", "single"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("a\\032b.example", None),
    ("b\\195\\188cher.example", None),
    ("dotted\\.label.example", None),
    ("*.example", None),
    ("127.1", None),
    ("1.2.3.4", None),
    ("0x7f.0x1", None),
    ("example.123", None),
    (".", None),
]


@pytest.mark.parametrize(("name", "hostname"), HOSTNAMES)
def test_a_question_is_about_a_host_name_or_none(name: str, hostname: str | None) -> None:
    asked = query(name, "AAAA")
    assert asked.hostname == hostname
    assert asked.rdtype == dns.rdatatype.AAAA


REVERSE = [
    ("34.216.184.93.in-addr.arpa", True, "93.184.216.34"),
    ("1." + "0." * 31 + "ip6.arpa", True, "::1"),
    ("216.184.93.in-addr.arpa", True, None),
    ("300.1.1.1.in-addr.arpa", True, None),
    ("b._dns-sd._udp.1.1.1.1.in-addr.arpa", True, None),
    ("z." + "0." * 31 + "ip6.arpa", True, None),
    ("in-addr.arpa", True, None),
    ("example.com", False, None),
]


@pytest.mark.parametrize(("name", "is_reverse", "ip"), REVERSE)
def test_a_question_may_be_about_an_address(name: str, is_reverse: bool, ip: str | None) -> None:
    asked = query(name, "PTR")
    assert asked.is_reverse == is_reverse
    if is_reverse:
        assert (None if asked.reverse_ip is None else str(asked.reverse_ip)) == ip


@pytest.mark.parametrize(
    ("payload", "limit"), [(None, 512), (100, 512), (512, 512), (1232, 1232), (4096, 4096), (65535, 4096)]
)
def test_a_datagram_is_as_long_as_the_client_says_within_reason(payload: int | None, limit: int) -> None:
    asked = query() if payload is None else query(use_edns=0, payload=payload)
    assert asked.max_udp_bytes == limit


def test_records_have_the_spelling_and_the_number_of_the_question() -> None:
    reply = dns.message.from_wire(to_wire(with_texts(query("Db.Example.com"), ["198.19.0.1", "198.19.0.2"], 30)))
    assert reply.id == 0x1234
    assert reply.flags & (dns.flags.QR | dns.flags.RD | dns.flags.RA) == dns.flags.QR | dns.flags.RD | dns.flags.RA
    assert reply.question[0].name.to_text() == "Db.Example.com."
    assert [rrset.to_text() for rrset in reply.answer] == [
        "Db.Example.com. 30 IN A 198.19.0.1\nDb.Example.com. 30 IN A 198.19.0.2"
    ]
    assert reply.edns == -1


def test_a_no_says_how_long_it_holds() -> None:
    for reply, rcode in (
        (no_data(query(), 7), dns.rcode.NOERROR),
        (no_name(query(), 7), dns.rcode.NXDOMAIN),
    ):
        read = dns.message.from_wire(to_wire(reply))
        assert read.rcode() == rcode
        assert not read.answer
        assert [(rrset.name.to_text(), rrset.ttl, rrset[0].minimum) for rrset in read.authority] == [(".", 7, 7)]


def test_a_reason_goes_to_clients_that_understand_it() -> None:
    asked = query(use_edns=0)
    blocked = dns.message.from_wire(to_wire(no_name(asked, 1, blocked="because")))
    assert extended_errors(blocked) == [(dns.edns.EDECode.BLOCKED, "because")]
    broken = dns.message.from_wire(to_wire(failure(asked, "no server")))
    assert (broken.rcode(), extended_errors(broken)) == (dns.rcode.SERVFAIL, [(dns.edns.EDECode.OTHER, "no server")])
    assert not extended_errors(dns.message.from_wire(to_wire(failure(asked))))
    for reply in (no_name(query(), 1, blocked="because"), failure(query(), "no server")):
        assert dns.message.from_wire(to_wire(reply)).edns == -1


def test_what_does_not_fit_is_cut_and_said_so() -> None:
    reply = with_texts(query(), [f"198.19.0.{number}" for number in range(1, 65)], 30)
    short = to_wire(reply, 512)
    assert len(short) <= 512
    assert dns.message.from_wire(short).flags & dns.flags.TC
    whole = dns.message.from_wire(to_wire(reply))
    assert not whole.flags & dns.flags.TC
    assert [str(record) for record in whole.answer[0]] == [f"198.19.0.{number}" for number in range(1, 65)]


def test_what_another_server_said_is_passed_on_without_what_nobody_asked_for() -> None:
    asked = query("_x._tcp.example.com", "SRV")
    response = dns.message.make_response(asked.message)
    response.answer.append(dns.rrset.from_text("_x._tcp.example.com.", 9, "IN", "CNAME", "y.example."))
    response.answer.append(dns.rrset.from_text("y.example.", 9, "IN", "SRV", "1 2 99 host.example."))
    response.answer.append(dns.rrset.from_text("host.example.", 9, "IN", "A", "10.0.0.1"))
    response.authority.append(dns.rrset.from_text("example.", 9, "IN", "NS", "ns.example."))
    response.authority.append(dns.rrset.from_text("example.", 9, "IN", "SOA", ". . 1 2 3 4 5"))
    response.additional.append(dns.rrset.from_text("host.example.", 9, "IN", "A", "10.0.0.1"))
    reply = dns.message.from_wire(to_wire(passed_on(asked, response)))
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.answer] == ["CNAME", "SRV"]
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.authority] == ["SOA"]
    assert not reply.additional


def test_no_type_that_holds_addresses_is_passed_on() -> None:
    for kind in ("A", "AAAA", "HTTPS", "SVCB", "ANY", "PTR", "WKS", "A6", "APL", "IPSECKEY"):
        assert dns.rdatatype.from_text(kind) not in PASSED_TYPES


def test_replies_and_scraps_are_no_queries() -> None:
    reply = to_wire(with_texts(query(), ["198.19.0.1"], 1))
    for wire in (b"", b"\x00" * 11, reply, b"\xff" * 12):
        with pytest.raises(NotAQuery):
            parse_query(wire)


def test_other_operations_are_not_implemented() -> None:
    wire = bytearray(wire_of())
    wire[2] |= dns.opcode.UPDATE << 3
    reply = refusal(bytes(wire))
    assert (reply.id, reply.rcode(), reply.opcode()) == (0x1234, dns.rcode.NOTIMP, dns.opcode.UPDATE)


def test_every_truncation_of_a_query_is_refused_or_dropped() -> None:
    wire = wire_of(use_edns=0)
    for length in range(len(wire)):
        if length < 12:
            with pytest.raises(NotAQuery):
                parse_query(wire[:length])
        else:
            reply = refusal(wire[:length])
            assert (reply.id, reply.rcode()) == (0x1234, dns.rcode.FORMERR)
    assert refusal(wire + b"x").rcode() == dns.rcode.FORMERR


def test_sections_that_a_question_does_not_have_are_refused_unread() -> None:
    for at, count in ((4, 0), (4, 2), (6, 1), (8, 1), (10, 3), (10, 65_535)):
        wire = bytearray(wire_of())
        wire[at : at + 2] = count.to_bytes(2, "big")
        assert refusal(bytes(wire)).rcode() == dns.rcode.FORMERR
    assert refusal(wire_of() + bytes(MAX_QUERY_BYTES)).rcode() == dns.rcode.FORMERR


def test_a_name_that_points_at_itself_is_refused() -> None:
    wire = wire_of()[:12] + b"\xc0\x0c\x00\x01\x00\x01"
    assert refusal(wire).rcode() == dns.rcode.FORMERR


def test_another_class_and_another_version_of_edns_are_refused() -> None:
    assert refusal(wire_of(rdclass="CH")).rcode() == dns.rcode.REFUSED
    wire = bytearray(wire_of(use_edns=0))
    wire[-5] = 1  # version: behind it two bytes of flags and two of length
    assert refusal(bytes(wire)).rcode() == dns.rcode.BADVERS


def read(wire: bytes) -> None:
    """Whatever the bytes: a question whose every property can be asked and answered, a reply, or silence."""
    try:
        asked = parse_query(wire)
    except NotAQuery:
        return
    except Unanswerable as exc:
        reply = exc.reply
    else:
        use(asked)
        return
    assert reply[:2] == wire[:2]
    assert reply[2] & 0x80


def use(asked: Query) -> None:
    assert asked.hostname is None or asked.hostname.isascii()
    _ = asked.is_reverse and asked.reverse_ip
    for reply in (no_data(asked, 1), no_name(asked, 1, blocked="x"), failure(asked, "y")):
        assert len(to_wire(reply, asked.max_udp_bytes)) <= asked.max_udp_bytes


@given(st.binary(max_size=600))
def test_no_bytes_break_the_parser(wire: bytes) -> None:
    read(wire)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_no_change_of_a_query_breaks_the_parser(changes: list[tuple[int, int]], with_edns: bool) -> None:
    wire = bytearray(wire_of("a.b.example", use_edns=0 if with_edns else False))
    for at, value in changes:
        wire[at % len(wire)] = value
    read(bytes(wire))


@given(st.binary(max_size=300))
def test_no_record_behind_a_question_breaks_the_parser(record: bytes) -> None:
    wire = bytearray(wire_of() + record)
    wire[10:12] = b"\x00\x01"
    read(bytes(wire))
