"""The words of ``NETLINK_SOCK_DIAG``."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.egress.sock_diag import (
    Answer,
    SocketFacts,
    TcpCounters,
    cookie_of_event,
    make_destroy,
    make_query,
    make_socket_id,
    parse_answers,
    received_bytes,
)

COOKIE = 0x1_2345_6789


def info(*, acked: int, received: int, sent: int, again: int = 0, rtt_us: int = 250) -> bytes:
    """A ``tcp_info`` of Linux 6."""
    head = bytearray(248)
    struct.pack_into("=I", head, 68, rtt_us)
    struct.pack_into("=QQ", head, 120, acked, received)
    struct.pack_into("=QQ", head, 200, sent, again)
    return bytes(head)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def facts_message(sequence: int, attributes: bytes = b"", *, state: int = 1, unread: int = 0, inode: int = 99) -> bytes:
    ports = struct.pack(">HH", 40000, 80)
    sockid = ports + bytes(32) + struct.pack("=III", 0, COOKIE & 0xFFFFFFFF, COOKIE >> 32)
    body = struct.pack("=BBBB", 2, state, 0, 0) + sockid + struct.pack("=IIIII", 0, unread, 0, 1000, inode) + attributes
    return struct.pack("=IHHII", 16 + len(body), 20, 0, sequence, 0) + body


def error_message(sequence: int, errno: int) -> bytes:
    body = struct.pack("=i", -errno) + bytes(16)
    return struct.pack("=IHHII", 16 + len(body), 2, 0, sequence, 0) + body


FULL = attribute(7, b"\6") + attribute(2, info(acked=1002, received=78, sent=1000))
COUNTERS = TcpCounters(1000, 78, is_established=True, is_fin_acknowledged=True, rtt_s=0.00025)
SOCKET_ID = make_socket_id(("0.0.0.0", 40000), ("0.0.0.0", 80), COOKIE)
FACTS = SocketFacts(COOKIE, 1, 99, 0, COUNTERS, SOCKET_ID)


def test_a_question_names_the_socket_as_the_kernel_does() -> None:
    socket_id = make_socket_id(("192.0.2.9", 40000), ("192.0.2.1", 80), COOKIE)
    query = make_query(socket_id, 7)
    assert struct.unpack_from("=IHHII", query) == (len(query), 20, 1, 7, 0)
    assert len(query) == 72
    assert struct.unpack_from("=BBBBI", query, 16) == (2, 6, 2, 0, 0xFFFFFFFF)
    assert query[24:28] == bytes([0x9C, 0x40, 0, 80])
    assert query[28:44] == bytes([192, 0, 2, 9]) + bytes(12)
    assert query[44:60] == bytes([192, 0, 2, 1]) + bytes(12)
    assert struct.unpack_from("=III", query, 60) == (0, 0x23456789, 1)
    destroy = make_destroy(socket_id, 7)
    assert struct.unpack_from("=IHHII", destroy) == (len(destroy), 21, 5, 7, 0)
    assert destroy[16:] == query[16:]


@pytest.mark.parametrize(
    ("local", "remote", "family", "interface"),
    [
        ("2001:db8::1", "2001:db8::2", 10, 0),
        ("fe80::1%3", "fe80::2%3", 10, 3),
        ("fe80::1%eth0", "fe80::2%eth0", 10, 0),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 2, 0),
    ],
)
def test_addresses_of_all_kinds(local: str, remote: str, family: int, interface: int) -> None:
    socket_id = make_socket_id((local, 1), (remote, 2), 3)
    assert socket_id[0] == family
    assert struct.unpack_from("=I", socket_id, 37) == (interface,)


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match="localhost"):
        make_socket_id(("localhost", 1), ("127.0.0.1", 2), 3)


def test_answers_are_read_whatever_comes_together() -> None:
    datagram = facts_message(1, FULL) + error_message(2, 2) + facts_message(3, state=6, inode=0)
    remains = SocketFacts(COOKIE, 6, 0, 0, None, SOCKET_ID)
    assert list(parse_answers(datagram)) == [
        Answer(1, facts=FACTS),
        Answer(2, error=2),
        Answer(3, facts=remains),
    ]
    assert cookie_of_event(datagram) == COOKIE


def test_what_is_cut_off_is_passed_over() -> None:
    datagram = facts_message(1, FULL)
    for length in range(len(datagram)):
        assert list(parse_answers(datagram[:length])) == []
    assert cookie_of_event(datagram[:60]) is None
    assert list(parse_answers(datagram + datagram[:100])) == [Answer(1, facts=FACTS)]


def test_an_old_kernel_counts_less() -> None:
    old = attribute(2, info(acked=1001, received=77, sent=0)[:136])
    (answer,) = parse_answers(facts_message(1, old))
    assert answer.facts is not None
    assert answer.facts.counters == TcpCounters(1000, 77, is_established=True, is_fin_acknowledged=False, rtt_s=0.00025)
    (answer,) = parse_answers(facts_message(1, attribute(2, bytes(64))))
    assert answer.facts is not None
    assert answer.facts.counters is None


def test_a_byte_that_was_sent_twice_counts_once() -> None:
    (answer,) = parse_answers(facts_message(1, attribute(2, info(acked=101, received=0, sent=150, again=50))))
    assert answer.facts is not None
    assert answer.facts.counters is not None
    assert answer.facts.counters.bytes_sent == 100


def test_a_connect_that_nobody_answered_is_not_established() -> None:
    (answer,) = parse_answers(facts_message(1, attribute(2, info(acked=0, received=0, sent=0, rtt_us=0))))
    assert answer.facts is not None
    assert answer.facts.counters is not None
    assert not answer.facts.counters.is_established


FIN_WAIT2 = SocketFacts(COOKIE, 5, 0, 0, None)


@pytest.mark.parametrize(
    ("unread", "is_acknowledged", "remains", "received"),
    [
        (1, True, None, 77),  # closed first, then the peer
        (0, True, None, 77),  # the peer's FIN was read, then closed
        (0, True, FIN_WAIT2, 78),  # closed; the peer has not
        (0, False, None, 78),  # reset
    ],
)
def test_a_fin_is_no_byte(unread: int, is_acknowledged: bool, remains: SocketFacts | None, received: int) -> None:
    counters = TcpCounters(0, 78, is_established=True, is_fin_acknowledged=is_acknowledged, rtt_s=0)
    assert received_bytes(SocketFacts(COOKIE, 7, 0, unread, counters), remains) == received


def test_nothing_received_is_not_less_than_nothing() -> None:
    counters = TcpCounters(0, 0, is_established=True, is_fin_acknowledged=True, rtt_s=0)
    assert received_bytes(SocketFacts(COOKIE, 7, 0, 0, counters), None) == 0
    assert received_bytes(SocketFacts(COOKIE, 7, 0, 0, None), None) == 0


@given(st.binary(max_size=300))
def test_no_datagram_is_too_strange(data: bytes) -> None:
    list(parse_answers(data))
    cookie_of_event(data)


@given(st.data())
def test_no_answer_with_wrong_bytes_is_too_strange(data: st.DataObject) -> None:
    datagram = bytearray(facts_message(1, FULL))
    for _ in range(data.draw(st.integers(1, 8))):
        datagram[data.draw(st.integers(0, len(datagram) - 1))] = data.draw(st.integers(0, 255))
    list(parse_answers(bytes(datagram)))
