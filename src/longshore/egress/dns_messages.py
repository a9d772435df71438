"""DNS messages of a worker's name server: queries in, replies out (PURE; the wire format is dnspython's).

``parse_query`` takes whatever a worker sends. It raises ``NotAQuery`` for what deserves no reply (too short, a reply
itself: two servers must not talk to each other for ever), and ``Unanswerable``, which holds the reply, for the rest
that is no ordinary question. It raises nothing else.

Every reply that says "no" has a SOA record, so that resolvers with a cache know for how long (RFC 2308 §5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from longshore.core.host_syntax import parse_host, try_parse_ip
from longshore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from dns.rdatatype import RdataType

    from longshore.core.host_syntax import IpAddress

__all__ = [
    "PASSED_TYPES",
    "NotAQuery",
    "Query",
    "Unanswerable",
    "failure",
    "no_data",
    "no_name",
    "parse_query",
    "passed_on",
    "to_wire",
    "with_texts",
]

MAX_QUERY_BYTES: Final = 4096
"""A question is at most 271 bytes long; with EDNS options a few more."""

PASSED_TYPES: Final = frozenset(
    {
        dns.rdatatype.CAA,
        dns.rdatatype.CNAME,
        dns.rdatatype.MX,
        dns.rdatatype.NAPTR,
        dns.rdatatype.NS,
        dns.rdatatype.SOA,
        dns.rdatatype.SRV,
        dns.rdatatype.SSHFP,
        dns.rdatatype.TLSA,
        dns.rdatatype.TXT,
        dns.rdatatype.URI,
    }
)
"""Asked of the host's name server: they hold names and texts. Types that hold addresses, like HTTPS and SVCB with their
hints, are not among them: a real address would go past the name it belongs to."""

_HEADER_BYTES: Final = 12
# RFC 6891 §6.2.3; what glibc and c-ares ask for is less.
_MAX_UDP_BYTES: Final = 4096
_MIN_UDP_BYTES: Final = 512
_MAX_TCP_BYTES: Final = 65_535
# An OPT and a TSIG or SIG(0) record; nothing else has a place behind a question.
_MAX_ADDITIONAL: Final = 2
_REVERSE_ZONES: Final = (dns.reversename.ipv4_reverse_domain, dns.reversename.ipv6_reverse_domain)
_ALIASES: Final = frozenset({dns.rdatatype.CNAME, dns.rdatatype.DNAME})


class NotAQuery(Exception):
    """There is nothing to reply to."""


class Unanswerable(Exception):
    """A query that is broken, or of a kind that is not served.

    Attributes:
        reply: what to send.
    """

    def __init__(self, reply: bytes) -> None:
        super().__init__("unanswerable query")
        self.reply = reply


@dataclass(frozen=True)
class Query:
    """One question."""

    message: dns.message.Message

    @property
    def rdtype(self) -> RdataType:
        """What is asked for."""
        return self.message.question[0].rdtype

    @property
    def name(self) -> dns.name.Name:
        """Of whom, in the spelling of whoever asks."""
        return self.message.question[0].name

    @cached_property
    def hostname(self) -> str | None:
        """The name as text, in lower case, without final dot; None when no host can have it."""
        try:
            text, ip = parse_host(self.name.to_text(omit_final_dot=True), "question")
        except UsageError:
            return None
        # What ends in a number is an address, well or badly written, and no name (WHATWG URL, "ends in a number").
        last_label = text.rpartition(".")[2]
        is_number = ip is not None or last_label.isdigit() or last_label.startswith("0x")
        return None if is_number else text

    @property
    def is_reverse(self) -> bool:
        """Whether it asks for the name of an address."""
        return any(self.name.is_subdomain(zone) for zone in _REVERSE_ZONES)

    @property
    def reverse_ip(self) -> IpAddress | None:
        """The address whose name is asked for; None when it is not a whole one."""
        try:
            return try_parse_ip(dns.reversename.to_address(self.name))
        except (dns.exception.DNSException, ValueError):
            return None

    @property
    def max_udp_bytes(self) -> int:
        """How long a reply in a datagram may be."""
        if self.message.edns < 0:
            return _MIN_UDP_BYTES
        return max(_MIN_UDP_BYTES, min(self.message.payload, _MAX_UDP_BYTES))


def parse_query(wire: bytes) -> Query:
    """Read a query.

    Raises:
        NotAQuery: nobody waits for a reply.
        Unanswerable: with the reply.
    """
    if len(wire) < _HEADER_BYTES or wire[2] & 0x80:
        raise NotAQuery
    if dns.opcode.from_flags(int.from_bytes(wire[2:4], "big")) != dns.opcode.QUERY:
        raise Unanswerable(_bare_reply(wire, dns.rcode.NOTIMP))
    questions, answers, authorities, additional = (int.from_bytes(wire[at : at + 2], "big") for at in (4, 6, 8, 10))
    # Before the records are looked at: a few bytes can stand for many of them.
    if questions != 1 or answers or authorities or additional > _MAX_ADDITIONAL or len(wire) > MAX_QUERY_BYTES:
        raise Unanswerable(_bare_reply(wire, dns.rcode.FORMERR))
    try:
        message = dns.message.from_wire(wire)
    except Exception as exc:  # whatever the library stumbles over, the bytes are to blame
        raise Unanswerable(_bare_reply(wire, dns.rcode.FORMERR)) from exc
    query = Query(message)
    if message.edns > 0:
        raise Unanswerable(to_wire(_reply(query, dns.rcode.BADVERS), _MIN_UDP_BYTES))
    if message.question[0].rdclass != dns.rdataclass.IN:
        raise Unanswerable(to_wire(_reply(query, dns.rcode.REFUSED), _MIN_UDP_BYTES))
    return query


def with_texts(query: Query, texts: Collection[str], ttl_s: int) -> dns.message.Message:
    """Return the reply with records of the type and the name that are asked for, in the spelling of zone files.

    All are of the asked name itself: where CNAMEs lead is followed already.
    """
    reply = _reply(query)
    records = [_record(query.rdtype, text) for text in texts]
    reply.answer.append(dns.rrset.from_rdata_list(query.name, ttl_s, records))
    return reply


def no_data(query: Query, ttl_s: int) -> dns.message.Message:
    """Return the reply that the name exists, and has no such record (RFC 2308 §2.2)."""
    reply = _reply(query)
    reply.authority.append(_soa(ttl_s))
    return reply


def no_name(query: Query, ttl_s: int, *, blocked: str = "") -> dns.message.Message:
    """Return the reply that there is no such name (NXDOMAIN).

    Args:
        query: the question.
        ttl_s: how long that holds.
        blocked: why this is the operator's will, not a fact; goes with the reply when the client understands it
            (RFC 8914 §4.16).
    """
    reply = _reply(query, dns.rcode.NXDOMAIN)
    reply.authority.append(_soa(ttl_s))
    if blocked:
        _explain(query, reply, dns.edns.EDECode.BLOCKED, blocked)
    return reply


def failure(query: Query, why: str = "", rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> dns.message.Message:
    """Return the reply that nobody knows."""
    reply = _reply(query, rcode)
    if why:
        _explain(query, reply, dns.edns.EDECode.OTHER, why)
    return reply


def passed_on(query: Query, response: dns.message.Message) -> dns.message.Message:
    """Return what another server said to the same question, but for records that nobody asked for."""
    reply = _reply(query, response.rcode())
    wanted = _ALIASES | {query.rdtype}
    reply.answer.extend(rrset for rrset in response.answer if rrset.rdtype in wanted)
    reply.authority.extend(rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA)
    return reply


def to_wire(reply: dns.message.Message, max_bytes: int = _MAX_TCP_BYTES) -> bytes:
    """Return a reply as bytes; what does not fit is left out, and the client told to ask again by TCP."""
    # Records would be shuffled, and with them the order of preference.
    return reply.to_wire(max_size=max_bytes, prefer_truncation=True, want_shuffle=False)


def _reply(query: Query, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> dns.message.Message:
    reply = dns.message.make_response(query.message, recursion_available=True, our_payload=_MAX_UDP_BYTES)
    reply.set_rcode(rcode)
    return reply


def _soa(ttl_s: int) -> dns.rrset.RRset:
    """Return a SOA of the root, which every name is below, with ``ttl_s`` as the time a "no" holds."""
    record = _record(dns.rdatatype.SOA, f". . 1 3600 600 86400 {ttl_s}")
    return dns.rrset.from_rdata(dns.name.root, ttl_s, record)


@lru_cache(maxsize=1024)  # they cannot be changed, and take longer to read than everything else
def _record(rdtype: RdataType, text: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(dns.rdataclass.IN, rdtype, text)


def _explain(query: Query, reply: dns.message.Message, code: dns.edns.EDECode, why: str) -> None:
    if query.message.edns >= 0:
        reply.use_edns(0, 0, _MAX_UDP_BYTES, options=[dns.edns.EDEOption(code, why)])


def _bare_reply(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """Return a header alone, with the query's number: for one that cannot be taken apart (RFC 1035 §4.1.1)."""
    flags = dns.flags.QR | dns.flags.RA | int.from_bytes(wire[2:4], "big") & (dns.flags.RD | 0x7800)
    return wire[:2] + (flags | rcode).to_bytes(2, "big") + bytes(8)
