"""Messages of ``NETLINK_SOCK_DIAG``: what the kernel knows of a TCP connection, whoever holds it (PURE).

One socket is asked for by its four-part address and its cookie, which the kernel never gives twice. The group of
destroyed sockets tells the last numbers of each one, to anybody; to destroy one needs CAP_NET_ADMIN.

Layouts: linux/netlink.h, linux/inet_diag.h, linux/sock_diag.h, ``struct tcp_info`` of linux/tcp.h.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DESTROY_GROUPS",
    "TCP_FIN_WAIT2",
    "TCP_SYN_SENT",
    "Answer",
    "SocketFacts",
    "TcpCounters",
    "cookie_of_event",
    "make_destroy",
    "make_query",
    "make_socket_id",
    "parse_answers",
    "received_bytes",
]

DESTROY_GROUPS: Final = 0b101
"""``SKNLGRP_INET_TCP_DESTROY`` and ``SKNLGRP_INET6_TCP_DESTROY`` as bits of ``sockaddr_nl.nl_groups``."""
TCP_SYN_SENT: Final = 2
TCP_FIN_WAIT2: Final = 5

_SOCK_DIAG_BY_FAMILY: Final = 20
_SOCK_DESTROY: Final = 21
_NLMSG_ERROR: Final = 2
_NLM_F_REQUEST: Final = 1
_NLM_F_ACK: Final = 4
_AF_INET: Final = 2
_AF_INET6: Final = 10
_IPPROTO_TCP: Final = 6
_INET_DIAG_INFO: Final = 2
_WANT_INFO: Final = 1 << (_INET_DIAG_INFO - 1)
_ALL_STATES: Final = 0xFFFF_FFFF

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST: Final = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_ERROR: Final = struct.Struct("=i")
_FIXED: Final = struct.Struct("=BBBB4x36xII4xIIII")  # inet_diag_msg: family, state, …, cookie, …, queues, uid, inode
_ATTRIBUTE: Final = struct.Struct("=HH")
_COOKIE: Final = struct.Struct("=II")
_COOKIE_END: Final = 4 + 48
_COOKIE_OFFSET: Final = _HEADER.size + _COOKIE_END - _COOKIE.size
_RTT: Final = struct.Struct("=I")
_RTT_OFFSET: Final = 68
_ACKED_RECEIVED: Final = struct.Struct("=QQ")
_ACKED_OFFSET: Final = 120
_SENT_AGAIN: Final = struct.Struct("=QQ")  # bytes_sent, bytes_retrans: since Linux 4.19
_SENT_OFFSET: Final = 200


class TcpCounters(NamedTuple):
    """What ``struct tcp_info`` counts."""

    bytes_sent: int
    """Payload, each byte once."""
    bytes_received: int
    """Payload, and one more when the peer's FIN came: see ``received_bytes``."""
    is_established: bool
    """The peer answered the SYN, some time."""
    is_fin_acknowledged: bool
    rtt_s: float


class SocketFacts(NamedTuple):
    """One TCP socket."""

    cookie: int
    state: int
    inode: int
    """0 when no process has a descriptor of it any more."""
    unread_bytes: int
    counters: TcpCounters | None
    """None of a connection in TIME_WAIT, and the like, of which only an entry in a table is left."""
    socket_id: bytes = b""
    """As ``make_socket_id`` would make it."""


class Answer(NamedTuple):
    """What came back for the request of this sequence number."""

    sequence: int
    facts: SocketFacts | None = None
    error: int | None = None
    """An errno, 0 for done; None with ``facts``."""


def make_socket_id(local: tuple[str, int], remote: tuple[str, int], cookie: int) -> bytes:
    """Return a family's byte and ``struct inet_diag_sockid``; an address is a literal, perhaps with a scope.

    Raises:
        ValueError: an address is none.
    """
    source, target = (_unmapped(host) for host, _ in (local, remote))
    family = _AF_INET if isinstance(source, IPv4Address) else _AF_INET6
    ports = struct.pack(">HH", local[1], remote[1])
    interface = int(scope) if (scope := getattr(target, "scope_id", None)) and scope.isdigit() else 0
    addresses = source.packed.ljust(16, b"\0") + target.packed.ljust(16, b"\0")
    tail = struct.pack("=III", interface, cookie & 0xFFFF_FFFF, cookie >> 32)
    return bytes([family]) + ports + addresses + tail


def make_query(socket_id: bytes, sequence: int) -> bytes:
    """Return the question for one socket."""
    return _make(_SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, socket_id, sequence)


def make_destroy(socket_id: bytes, sequence: int) -> bytes:
    """Return the command to reset one connection; answered with an errno, 0 when it was done."""
    return _make(_SOCK_DESTROY, _NLM_F_REQUEST | _NLM_F_ACK, socket_id, sequence)


def cookie_of_event(datagram: bytes) -> int | None:
    """Return whose end a datagram of ``DESTROY_GROUPS`` tells, quickly; None when it is none."""
    if len(datagram) < _COOKIE_OFFSET + _COOKIE.size:
        return None
    low, high = _COOKIE.unpack_from(datagram, _COOKIE_OFFSET)
    return int(low | high << 32)


def parse_answers(datagram: bytes) -> Iterator[Answer]:
    """Yield what is in a datagram; what is cut off or of another kind is passed over."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, at)
        if length < _HEADER.size or at + length > len(datagram):
            return
        payload = datagram[at + _HEADER.size : at + length]
        if kind == _NLMSG_ERROR and len(payload) >= _ERROR.size:
            yield Answer(sequence, error=-_ERROR.unpack_from(payload)[0])
        elif kind == _SOCK_DIAG_BY_FAMILY and len(payload) >= _FIXED.size:
            yield Answer(sequence, facts=_parse_facts(payload))
        at += _aligned(length)


def received_bytes(facts: SocketFacts, remains: SocketFacts | None) -> int:
    """Return how much payload an ended connection received: the kernel counts a FIN as a byte, if one came.

    Nothing says whether one came. What can be known: a FIN that nobody read lies unread. When nothing is unread, and
    our own FIN was acknowledged, the peer's was read, unless what remains of the connection still waits for it.

    Args:
        facts: of the destroyed socket.
        remains: what the kernel still had under its address then, if anything.
    """
    counters = facts.counters
    if counters is None:
        return 0
    waits = remains is not None and remains.state == TCP_FIN_WAIT2
    has_fin = facts.unread_bytes > 0 or (counters.is_fin_acknowledged and not waits)
    return max(counters.bytes_received - has_fin, 0)


def _make(kind: int, flags: int, socket_id: bytes, sequence: int) -> bytes:
    request = _REQUEST.pack(socket_id[0], _IPPROTO_TCP, _WANT_INFO, 0, _ALL_STATES) + socket_id[1:]
    return _HEADER.pack(_HEADER.size + len(request), kind, flags, sequence, 0) + request


def _parse_facts(payload: bytes) -> SocketFacts:
    _, state, _, _, low, high, unread, _, _, inode = _FIXED.unpack_from(payload)
    info = _find_attribute(payload, _FIXED.size, _INET_DIAG_INFO)
    counters = None if info is None else _parse_counters(info)
    return SocketFacts(low | high << 32, state, inode, unread, counters, payload[:1] + payload[4:_COOKIE_END])


def _find_attribute(payload: bytes, at: int, wanted: int) -> bytes | None:
    while at + _ATTRIBUTE.size <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, at)
        if length < _ATTRIBUTE.size or at + length > len(payload):
            return None
        if kind == wanted:
            return payload[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return None


def _parse_counters(info: bytes) -> TcpCounters | None:
    if len(info) < _ACKED_OFFSET + _ACKED_RECEIVED.size:
        return None
    acked, received = _ACKED_RECEIVED.unpack_from(info, _ACKED_OFFSET)
    (rtt_us,) = _RTT.unpack_from(info, _RTT_OFFSET)
    if len(info) >= _SENT_OFFSET + _SENT_AGAIN.size:
        sent, again = _SENT_AGAIN.unpack_from(info, _SENT_OFFSET)
        payload = sent - again
    else:
        payload = max(acked - 1, 0)  # without the SYN
    # What is acknowledged begins with the SYN, and ends with the FIN.
    return TcpCounters(payload, received, acked > 0, acked >= payload + 2, rtt_us / 1e6)


def _unmapped(host: str) -> IPv4Address | IPv6Address:
    found = ip_address(host)
    return getattr(found, "ipv4_mapped", None) or found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
