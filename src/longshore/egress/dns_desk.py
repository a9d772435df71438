"""``NameDesk``: what a worker's question is answered with.

==================================  ============================================================================
question                            answer
==================================  ============================================================================
``localhost`` and below             127.0.0.1 and ::1, the worker's own
private name of a binding           its synthetic address (A)
a name that policy refuses          NXDOMAIN with the extended error "Blocked", audited; no query leaves
A, AAAA                             synthetic addresses for what the host's ``getaddrinfo`` finds
name of an address (PTR)            for what the worker got its address from us, else NXDOMAIN; no query leaves
SRV, TXT, MX and their like         passed to the host's name server
HTTPS, SVCB and every other type    nothing there: no query leaves
==================================  ============================================================================

NXDOMAIN rather than REFUSED for what policy refuses: a C library takes REFUSED for a broken server, asks twice, and
says "temporary failure", which programs answer by trying again.

IPv6 addresses are told when the host would try one of them first, or has no others. Inside, both families look
equally good, so a client would begin with IPv6 on a host that cannot reach it.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

import dns.rcode
import dns.rdatatype

from longshore.core.ip_ranges import classify_ip
from longshore.egress import dns_messages
from longshore.egress.dns_policy import NamePolicy
from longshore.egress.names import is_localhost
from longshore.egress.system_dns import SystemDnsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dns.message import Message

    from longshore.core.host_syntax import IpAddress
    from longshore.egress.answers import Answer
    from longshore.egress.context import WorkerContext
    from longshore.egress.dns_messages import Query
    from longshore.egress.judge import Verdict

__all__ = ["NameDesk"]

_A: Final = dns.rdatatype.A
_AAAA: Final = dns.rdatatype.AAAA
# Of what does not change while the worker lives.
_FIXED_TTL_S: Final = 60
_NEGATIVE_TTL_S: Final = 2
# More addresses than that are no help to any client, and each of them takes a place in the table of names.
_MAX_ADDRESSES: Final = 64
# A client asks for A and AAAA, and again when it tries again: that is one event in the audit log, not many.
_AUDIT_AGAIN_S: Final = 10.0
_MAX_AUDITED: Final = 256
_LOCALHOST: Final = {_A: "127.0.0.1", _AAAA: "::1"}
_TRANSFERS: Final = frozenset({dns.rdatatype.AXFR, dns.rdatatype.IXFR})
_BLOCKED: Final = "blocked by policy of the host"


class NameDesk:
    """Answers questions of one worker.

    Args:
        context: of the worker.
        clock: seconds.
    """

    def __init__(self, context: WorkerContext, *, clock: Callable[[], float] = monotonic) -> None:
        self._names = context.names
        self._resolver = context.resolver
        self._audit = context.audit
        self._policy = NamePolicy(context.config.network, context.judge)
        self._clock = clock
        self._audited: dict[str, float] = {}

    def answer_at_once(self, query: Query) -> Message | None:
        """Return the reply when nobody needs to be asked for it; otherwise None, and ``answer`` has it."""
        if query.is_reverse:
            return self._answer_reverse(query)
        if query.rdtype == dns.rdatatype.ANY:
            return dns_messages.failure(query, rcode=dns.rcode.NOTIMP)  # RFC 8482
        if query.rdtype in _TRANSFERS:
            return dns_messages.failure(query, rcode=dns.rcode.REFUSED)
        if query.hostname is None:
            return self._answer_odd(query)
        return self._answer_own(query, query.hostname) or self._answer_host(query, query.hostname)

    async def answer(self, query: Query) -> Message:
        """Return the reply after asking the host's name service. ``answer_at_once`` comes first.

        Cancellation: safe.
        """
        assert query.hostname is not None
        if query.rdtype in _LOCALHOST:
            return self._with_addresses(query, query.hostname, await self._resolver.lookup(query.hostname))
        try:
            return dns_messages.passed_on(query, await self._resolver.system_dns.ask(query.name, query.rdtype))
        except SystemDnsError as exc:
            return dns_messages.failure(query, str(exc))

    def _answer_odd(self, query: Query) -> Message:
        """Answer about the root, and about what can be the name of no host."""
        if len(query.name.labels) == 1:
            return dns_messages.no_data(query, _FIXED_TTL_S)
        return dns_messages.no_name(query, _FIXED_TTL_S)

    def _answer_own(self, query: Query, hostname: str) -> Message | None:
        """Answer about names that exist in this worker only."""
        if is_localhost(hostname):
            if query.rdtype not in _LOCALHOST:
                return dns_messages.no_data(query, _FIXED_TTL_S)
            return dns_messages.with_texts(query, [_LOCALHOST[query.rdtype]], _FIXED_TTL_S)
        ip = self._names.binding_address(hostname)
        if ip is None:
            return None
        if query.rdtype != _A:
            return dns_messages.no_data(query, _FIXED_TTL_S)
        return dns_messages.with_texts(query, [str(ip)], _FIXED_TTL_S)

    def _answer_host(self, query: Query, hostname: str) -> Message | None:
        denial = self._policy.denial(hostname)
        if denial is not None:
            self._note_denial(hostname, denial)
            return dns_messages.no_name(query, _NEGATIVE_TTL_S, blocked=_BLOCKED)
        if query.rdtype in _LOCALHOST:
            known = self._resolver.peek(hostname)
            return None if known is None else self._with_addresses(query, hostname, known)
        if query.rdtype in dns_messages.PASSED_TYPES:
            return None
        return dns_messages.no_data(query, _NEGATIVE_TTL_S)

    def _with_addresses(self, query: Query, hostname: str, answer: Answer) -> Message:
        if answer.outcome == "failed":
            return dns_messages.failure(query, answer.reason)
        if answer.outcome == "no-name":
            return dns_messages.no_name(query, answer.ttl_s)
        wanted = self._wanted(query, hostname, answer)
        if not wanted:
            return dns_messages.no_data(query, answer.ttl_s)
        given = [str(self._names.address_for(hostname, ip)) for ip in wanted[:_MAX_ADDRESSES]]
        return dns_messages.with_texts(query, given, answer.ttl_s)

    def _wanted(self, query: Query, hostname: str, answer: Answer) -> Sequence[IpAddress]:
        """Return the real addresses of the family that is asked for, unless the host would rather use the other."""
        if not answer.addresses:
            return ()
        addresses = self._policy.reachable(hostname, answer.addresses)
        if query.rdtype == _A:
            return [ip for ip in addresses if ip.version == 4]
        if addresses[0].version == 4 and not answer.is_override:
            return ()
        return [ip for ip in addresses if ip.version == 6]

    def _answer_reverse(self, query: Query) -> Message:
        ip = query.reverse_ip
        name = None if ip is None else self._name_of(ip)
        if name is None:
            return dns_messages.no_name(query, _NEGATIVE_TTL_S)
        if query.rdtype != dns.rdatatype.PTR:
            return dns_messages.no_data(query, _NEGATIVE_TTL_S)
        return dns_messages.with_texts(query, [f"{name}."], _NEGATIVE_TTL_S)

    def _name_of(self, ip: IpAddress) -> str | None:
        return "localhost" if classify_ip(ip) == "local" else self._names.name_of(ip)

    def _note_denial(self, hostname: str, denial: Verdict) -> None:
        now = self._clock()
        if now < self._audited.get(hostname, now):
            return
        self._audited.pop(hostname, None)
        if len(self._audited) >= _MAX_AUDITED:
            del self._audited[next(iter(self._audited))]
        self._audited[hostname] = now + _AUDIT_AGAIN_S
        self._audit.begin(name=hostname, port=0, via="socket").denied(denial.rule)
