"""What tests of names stand on: a worker's context, a name service that says what it is told to, a DNS server."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from ipaddress import ip_address
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from longshore.config.model import NetworkRules, WorkerConfig
from longshore.egress.audit import Audit
from longshore.egress.context import WorkerContext
from longshore.egress.judge import Judge
from longshore.egress.names import SyntheticNames
from longshore.egress.resolve import EgressResolver
from longshore.egress.system_dns import SystemDns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from longshore.credentials.store import CredentialStore
    from longshore.egress.gate import Gate
    from longshore.proto.ipc.egress import AuditRecord

__all__ = ["NameService", "Upstream", "make_context", "upstream"]


class NameService:
    """Stands for ``socket.getaddrinfo``, which would ask the network.

    Args:
        known: addresses of names, in the order of preference, or what is raised. Other names do not exist.
    """

    def __init__(self, known: Mapping[str, Sequence[str] | Exception] | None = None) -> None:
        self.known = dict(known or {})
        self.asked: list[str] = []
        self.may_answer = Event()
        """Clear it, and no answer comes."""
        self.may_answer.set()

    def __call__(self, host: str, port: object, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        self.may_answer.wait(30)
        found = self.known.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(found, Exception):
            raise found
        return [_info(text) for text in found]


def _info(text: str) -> tuple[Any, ...]:
    if ip_address(text).version == 4:
        return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0))
    return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text, 0, 0, 0))


class Upstream(asyncio.DatagramProtocol):
    """The name server of the host, on loopback.

    Args:
        zone: records by name and type in the spelling of zone files, the TTL first: ``"30 1.2.3.4"``.
    """

    def __init__(self, zone: Mapping[tuple[str, str], Sequence[str]]) -> None:
        self.zone = dict(zone)
        self.asked: list[str] = []
        self.is_silent = False
        self.truncates = False
        self.rcode: dns.rcode.Rcode | None = None
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        reply = self.reply(data)
        if reply is None or self._transport is None:
            return
        if self.truncates:
            reply.flags |= dns.flags.TC
            reply.answer.clear()
        self._transport.sendto(reply.to_wire(), addr)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        reply = self.reply(await reader.readexactly(length))
        if reply is not None:
            writer.write(reply.to_wire(max_size=65_535, prepend_length=True))
            await writer.drain()
        writer.close()

    def reply(self, wire: bytes) -> dns.message.Message | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text().lower().removesuffix("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {name}")
        if self.is_silent:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if self.rcode is not None:
            reply.set_rcode(self.rcode)
            return reply
        self.fill(reply, name, kind)
        return reply

    def fill(self, reply: dns.message.Message, name: str, kind: str) -> None:
        if not any(known == name for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
            reply.authority.append(dns.rrset.from_text("example.", 33, "IN", "SOA", ". . 1 2 3 4 33"))
            return
        for each in ("CNAME", kind):
            for record in self.zone.get((name, each), ()):
                ttl, _, text = record.partition(" ")
                rdtype = dns.rdatatype.from_text(each)
                rrset = reply.find_rrset(reply.answer, dns.name.from_text(name), dns.rdataclass.IN, rdtype, create=True)
                rrset.add(dns.rdata.from_text(dns.rdataclass.IN, rdtype, text), int(ttl))
                if each == "CNAME" and kind != "CNAME":
                    self.fill(reply, text.removesuffix("."), kind)
                    return


@asynccontextmanager
async def upstream(
    folder: Path, zone: Mapping[tuple[str, str], Sequence[str]]
) -> AsyncIterator[tuple[Upstream, SystemDns]]:
    """Serve a zone by UDP and TCP at one port, and come with a ``SystemDns`` that asks there."""
    protocol = Upstream(zone)
    server = await asyncio.start_server(protocol.serve_stream, "127.0.0.1", 0)
    async with server:
        protocol.port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: protocol, ("127.0.0.1", protocol.port))
        path = folder / "resolv.conf"
        path.write_text("nameserver 127.0.0.1\nsearch never.example\n")
        try:
            yield protocol, SystemDns(path, port=protocol.port, lifetime_s=1.0)
        finally:
            transport.close()


def make_context(
    rules: NetworkRules | None = None,
    *,
    service: NameService | None = None,
    system_dns: SystemDns | None = None,
    records: list[AuditRecord] | None = None,
) -> WorkerContext:
    """Return a context with everything that names need; what the other doors need is not there."""
    rules = rules or NetworkRules(allow=("network",))
    # A file that is not there: nobody answers, and no query leaves the machine.
    system_dns = system_dns or SystemDns("/nonexistent/resolv.conf")
    return WorkerContext(
        worker_id=1,
        config=WorkerConfig(name="w", main="m:app", module_root="/", project_dir="/", network=rules),
        judge=Judge(rules),
        names=SyntheticNames(),
        resolver=EgressResolver(rules.hosts, get_addresses=service or NameService(), system_dns=system_dns),
        gate=cast("Gate", None),
        audit=Audit("w", 1, ([] if records is None else records).append),
        credentials=cast("CredentialStore", None),
    )
