"""``SystemDns``: questions that ``getaddrinfo`` does not answer, put to the name server of the host.

What ``/etc/resolv.conf`` says, without its search list: whoever asks for something else than addresses means the whole
name. Never used for the addresses that are connected.
"""

from __future__ import annotations

import os
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from longshore.egress.lookup_threads import LookupThreads

if TYPE_CHECKING:
    from pathlib import Path

    from dns.message import Message

    from longshore.core.host_syntax import IpAddress

__all__ = ["SystemDns", "SystemDnsError"]

# A stub resolver inside gives up after 5 s; ours must be the one to say what went wrong.
_LIFETIME_S: Final = 4.0
_PER_SERVER_S: Final = 2.0
# DNS flag day 2020: the largest datagram that no network fragments.
_PAYLOAD_BYTES: Final = 1232
_MAX_THREADS: Final = 8


class SystemDnsError(Exception):
    """No name server gave a usable answer."""


class SystemDns:
    """The host's name servers.

    Args:
        path: of the configuration; read again whenever it has changed.
        port: of the servers.
        lifetime_s: bound on one question, all servers and attempts together.
    """

    def __init__(
        self, path: str | Path = "/etc/resolv.conf", *, port: int = 53, lifetime_s: float = _LIFETIME_S
    ) -> None:
        self._path = str(path)
        self._port = port
        self._lifetime_s = lifetime_s
        self.threads = LookupThreads(_MAX_THREADS)
        self._read: tuple[tuple[int, int], dns.resolver.Resolver] | None = None

    async def ask(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Message:
        """Return the server's answer, which may be that there is nothing.

        Raises:
            SystemDnsError: there is none.

        Cancellation: safe.
        """
        try:
            resolver = self._resolver()
            resolve = partial(resolver.resolve, name, rdtype, raise_on_no_answer=False, search=False)
            answer = await self.threads.run(resolve, name=f"ask for {rdtype.name} of {name}")
        except dns.resolver.NXDOMAIN as exc:
            no_name: Message = exc.responses()[name]  # type: ignore[no-untyped-call]
            return no_name
        except (dns.exception.DNSException, OSError, ValueError, RuntimeError) as exc:
            raise SystemDnsError(f"cannot ask for {rdtype.name} of {name}: {exc}") from exc
        return answer.response

    async def times_to_live(self, hostname: str) -> dict[IpAddress, int]:
        """Return the IPv4 addresses that DNS has for ``hostname``, or else the IPv6 ones, and how long they hold.

        What cannot be found out is not in it: nothing fails here, and nothing waits for a thread.

        Cancellation: safe.
        """
        if self.threads.is_full:
            return {}
        try:
            name = dns.name.from_text(hostname)
            for rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                found = _times(await self.ask(name, rdtype))
                if found:
                    return found
        except (SystemDnsError, dns.exception.DNSException):
            pass
        return {}

    def _resolver(self) -> dns.resolver.Resolver:
        """Return a resolver with the configuration of now."""
        about = os.stat(self._path)
        state = (about.st_mtime_ns, about.st_ino)
        if self._read is None or self._read[0] != state:
            resolver = dns.resolver.Resolver(self._path)
            resolver.port = self._port
            resolver.timeout = min(_PER_SERVER_S, self._lifetime_s)
            resolver.lifetime = self._lifetime_s
            resolver.use_edns(0, 0, _PAYLOAD_BYTES)
            self._read = (state, resolver)
        return self._read[1]


def _times(response: Message) -> dict[IpAddress, int]:
    """Return each address with the least TTL on the way to it, CNAMEs included (RFC 1034 §3.6.2)."""
    if response.rcode() != dns.rcode.NOERROR:
        return {}
    aliases = [rrset.ttl for rrset in response.answer if rrset.rdtype == dns.rdatatype.CNAME]
    return {
        ip_address(record.address): min((rrset.ttl, *aliases))
        for rrset in response.answer
        if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for record in rrset
    }
