"""Tests of ``longshore.egress.dns_desk``."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from longshore.config.model import NetworkRules
from longshore.egress.dns_desk import NameDesk
from longshore.egress.dns_messages import Query, to_wire
from tests.egress.name_rig import NameService, make_context, upstream
from tests.sweep import Attempt, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.egress.context import WorkerContext
    from longshore.proto.ipc.egress import AuditRecord


def question(name: str, kind: str = "A") -> Query:
    return Query(dns.message.make_query(name, kind, use_edns=0))


async def answer(desk: NameDesk, name: str, kind: str = "A") -> dns.message.Message:
    query = question(name, kind)
    reply = desk.answer_at_once(query) or await desk.answer(query)
    return dns.message.from_wire(to_wire(reply))


def texts(reply: dns.message.Message) -> list[str]:
    assert reply.rcode() == dns.rcode.NOERROR
    return [record.to_text() for rrset in reply.answer for record in rrset]


async def real(context: WorkerContext, desk: NameDesk, name: str, kind: str = "A") -> list[str]:
    """Return the real addresses behind the answer, all of which must be synthetic and of that name."""
    found = []
    for text in texts(await answer(desk, name, kind)):
        destination = context.names.destination(ip_address(text))
        assert destination is not None
        assert destination.is_synthetic
        assert destination.hostname == name.lower().removesuffix(".")
        found.append(str(destination.ip))
    return found


async def test_addresses_are_synthetic_in_the_hosts_order_and_stay_the_same() -> None:
    service = NameService({"db.example.com": ["2001:db8::2", "192.0.2.9", "192.0.2.1", "2001:db8::1"]})
    context = make_context(service=service)
    desk = NameDesk(context)
    assert await real(context, desk, "Db.example.com.", "A") == ["192.0.2.9", "192.0.2.1"]
    assert await real(context, desk, "db.example.com", "AAAA") == ["2001:db8::2", "2001:db8::1"]
    assert service.asked == ["db.example.com"]
    first = desk.answer_at_once(question("db.example.com"))
    assert first is not None  # known now
    assert first.answer[0].ttl == 10
    assert texts(first) == texts(await answer(desk, "db.example.com"))


async def test_ipv6_is_left_out_where_the_host_would_not_begin_with_it() -> None:
    hosts: dict[str, tuple[str, ...]] = {"both.override": ("192.0.2.1", "2001:db8::1")}
    service = NameService({"both.example": ["192.0.2.1", "2001:db8::1"], "six.example": ["2001:db8::1"]})
    context = make_context(NetworkRules(allow=("network",), hosts=hosts), service=service)
    desk = NameDesk(context)
    assert await real(context, desk, "both.example", "A") == ["192.0.2.1"]
    assert await real(context, desk, "both.example", "AAAA") == []
    assert await real(context, desk, "six.example", "AAAA") == ["2001:db8::1"]
    assert await real(context, desk, "six.example", "A") == []
    assert await real(context, desk, "both.override", "AAAA") == ["2001:db8::1"]


NEGATIVE = [
    ("missing.example", dns.rcode.NXDOMAIN, 2),
    ("empty.example", dns.rcode.NOERROR, 2),
    ("broken.example", dns.rcode.SERVFAIL, None),
    ("none.override", dns.rcode.NXDOMAIN, 60),
]


@pytest.mark.parametrize(("name", "rcode", "ttl_s"), NEGATIVE)
@pytest.mark.parametrize("kind", ["A", "AAAA"])
async def test_a_no_is_told_from_nothing_there_and_from_not_known(
    name: str, kind: str, rcode: dns.rcode.Rcode, ttl_s: int | None
) -> None:
    service = NameService(
        {
            "empty.example": socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"),
            "broken.example": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        }
    )
    rules = NetworkRules(allow=("network",), hosts={"none.override": ()})
    reply = await answer(NameDesk(make_context(rules, service=service)), name, kind)
    assert (reply.rcode(), reply.answer) == (rcode, [])
    assert [rrset.ttl for rrset in reply.authority] == ([] if ttl_s is None else [ttl_s])
    if ttl_s is None:
        assert [getattr(option, "text", None) for option in reply.options] == ["Temporary failure in name resolution"]


async def test_localhost_is_the_workers_own() -> None:
    service = NameService({"localhost": ["192.0.2.66"]})
    rules = NetworkRules(allow=(), deny=("localhost",), hosts={"localhost": ("192.0.2.67",)})
    desk = NameDesk(make_context(rules, service=service))
    for name in ("localhost", "App.LocalHost."):
        assert texts(await answer(desk, name, "A")) == ["127.0.0.1"]
        assert texts(await answer(desk, name, "AAAA")) == ["::1"]
        assert texts(await answer(desk, name, "TXT")) == []
    assert not service.asked


async def test_a_binding_has_its_private_name_whatever_the_rules_say() -> None:
    context = make_context(NetworkRules(allow=()))
    given = context.names.add_binding("billing.egress.internal", "BILLING")
    desk = NameDesk(context)
    assert texts(await answer(desk, "billing.egress.internal", "A")) == [str(given)]
    assert texts(await answer(desk, "billing.egress.internal", "AAAA")) == []


async def test_no_query_leaves_for_a_name_that_policy_refuses(tmp_path: Path) -> None:
    records: list[AuditRecord] = []
    service = NameService()
    rules = NetworkRules(allow=("db.internal:5432",))
    async with upstream(tmp_path, {}) as (server, system_dns):
        desk = NameDesk(make_context(rules, service=service, system_dns=system_dns, records=records))
        for kind in ("A", "AAAA", "TXT", "SRV", "HTTPS"):
            reply = await answer(desk, "secret.attacker.example", kind)
            assert reply.rcode() == dns.rcode.NXDOMAIN
            assert [(option.otype, getattr(option, "code", None)) for option in reply.options] == [
                (dns.edns.OptionType.EDE, dns.edns.EDECode.BLOCKED)
            ]
            # Neither that there is a rule by that name, nor what it says, is for the worker to know.
            assert b"db.internal" not in reply.to_wire()
        assert not service.asked
        assert not server.asked
    assert [(each.event, each.name, each.port, each.via) for each in records] == [
        ("deny", "secret.attacker.example", 0, "socket")
    ]
    assert "db.internal:5432" in records[0].rule


async def test_a_refusal_is_audited_again_after_a_while_and_for_each_name() -> None:
    records: list[AuditRecord] = []
    now = [100.0]
    desk = NameDesk(make_context(NetworkRules(allow=()), records=records), clock=lambda: now[0])
    for name in ("a.example", "b.example", "a.example"):
        await answer(desk, name)
    assert [each.name for each in records] == ["a.example", "b.example"]
    now[0] += 10.0
    await answer(desk, "a.example")
    assert [each.name for each in records] == ["a.example", "b.example", "a.example"]
    for number in range(300):
        await answer(desk, f"n{number}.example")
    assert len(desk._audited) == 256


async def test_an_address_that_no_port_opens_is_left_out_of_the_answer() -> None:
    """A name of somebody else's that points at the metadata service as well (DNS rebinding)."""
    service = NameService(
        {"mixed.example": ["169.254.169.254", "1.1.1.1"], "inside.example": ["10.0.0.5", "169.254.169.254"]}
    )
    context = make_context(NetworkRules(), service=service)
    desk = NameDesk(context)
    assert await real(context, desk, "mixed.example") == ["1.1.1.1"]
    # Nothing would be left: then the connection is what fails, with "permission denied" and a line in the audit log.
    assert await real(context, desk, "inside.example") == ["10.0.0.5", "169.254.169.254"]


async def test_a_name_has_no_more_addresses_than_help() -> None:
    service = NameService({"many.example": [f"192.0.2.{number}" for number in range(100)]})
    context = make_context(service=service)
    assert len(await real(context, NameDesk(context), "many.example")) == 64


async def test_the_name_of_an_address_is_what_the_worker_got_it_for() -> None:
    context = make_context(service=NameService({"db.example.com": ["192.0.2.1"]}))
    desk = NameDesk(context)
    (given,) = texts(await answer(desk, "db.example.com"))
    context.names.note_reached("db.example.com", ip_address("192.0.2.1"))
    for ip, name in (
        (given, "db.example.com."),
        ("192.0.2.1", "db.example.com."),
        ("127.0.0.1", "localhost."),
        ("127.0.1.1", "localhost."),
        ("::1", "localhost."),
    ):
        reverse = ip_address(ip).reverse_pointer
        assert texts(await answer(desk, reverse, "PTR")) == [name]
        assert texts(await answer(desk, reverse, "TXT")) == []
    for ip in ("198.19.77.77", "192.0.2.2", "10.0.0.1", "2001:db8::1"):
        reply = await answer(desk, ip_address(ip).reverse_pointer, "PTR")
        assert reply.rcode() == dns.rcode.NXDOMAIN


async def test_services_and_texts_come_from_the_hosts_name_server(tmp_path: Path) -> None:
    zone = {
        ("_mongodb._tcp.db.example.com", "SRV"): ["30 0 5 27017 a.db.example.com."],
        ("db.example.com", "TXT"): ['30 "replicaSet=x"'],
        ("example.com", "MX"): ["30 10 mail.example.com."],
    }
    rules = NetworkRules(allow=("*.db.example.com:27017", "db.example.com", "example.com:587"))
    async with upstream(tmp_path, zone) as (_, system_dns):
        desk = NameDesk(make_context(rules, system_dns=system_dns))
        assert texts(await answer(desk, "_mongodb._tcp.db.example.com", "SRV")) == ["0 5 27017 a.db.example.com."]
        assert texts(await answer(desk, "db.example.com", "TXT")) == ['"replicaSet=x"']
        assert texts(await answer(desk, "example.com", "MX")) == ["10 mail.example.com."]
        assert texts(await answer(desk, "example.com", "TXT")) == []
        missing = await answer(desk, "missing.db.example.com", "TXT")
        assert (missing.rcode(), missing.authority[0].ttl) == (dns.rcode.NXDOMAIN, 33)


async def test_no_name_server_is_a_failure_at_once() -> None:
    reply = await answer(NameDesk(make_context()), "example.com", "TXT")
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert "cannot ask for TXT of example.com" in str(reply.options[0])


LOCAL = [
    ("example.com", "HTTPS", dns.rcode.NOERROR),
    ("example.com", "SVCB", dns.rcode.NOERROR),
    ("example.com", "DNSKEY", dns.rcode.NOERROR),
    ("example.com", "ANY", dns.rcode.NOTIMP),
    ("example.com", "AXFR", dns.rcode.REFUSED),
    ("example.com", "IXFR", dns.rcode.REFUSED),
    (".", "NS", dns.rcode.NOERROR),
    ("bad\\032name.example", "A", dns.rcode.NXDOMAIN),
    ("169.254.169.254", "A", dns.rcode.NXDOMAIN),
    ("2852039166", "A", dns.rcode.NXDOMAIN),
    ("0xa9fea9fe", "A", dns.rcode.NXDOMAIN),
]


@pytest.mark.parametrize(("name", "kind", "rcode"), LOCAL)
async def test_what_leads_nowhere_is_answered_at_once_and_asked_nobody(
    name: str, kind: str, rcode: dns.rcode.Rcode
) -> None:
    service = NameService()
    reply = NameDesk(make_context(service=service)).answer_at_once(question(name, kind))
    assert reply is not None
    assert (reply.rcode(), reply.answer) == (rcode, [])
    assert not service.asked


async def test_an_answer_may_be_cancelled_anywhere() -> None:
    async def ask(attempt: Attempt) -> None:
        context = make_context(service=NameService({"db.example.com": ["192.0.2.1"]}))
        desk = NameDesk(context)
        await attempt.run(desk.answer(question("db.example.com")))
        assert await real(context, desk, "db.example.com") == ["192.0.2.1"]
        await context.resolver.aclose()

    for mode in ("at once", "next turn", "with the result"):
        await sweep(ask, mode)
