"""Tests of ``longshore.egress.system_dns`` against a name server on loopback."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from threading import Event
from typing import TYPE_CHECKING

import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from longshore.egress.system_dns import SystemDns, SystemDnsError
from tests.egress.name_rig import upstream
from tests.sweep import Attempt, sweep

if TYPE_CHECKING:
    from pathlib import Path

ZONE = {
    ("_x._tcp.example.com", "SRV"): ["30 1 2 27017 db.example.com."],
    ("example.com", "TXT"): ['30 "v=spf1"'],
    ("big.example.com", "TXT"): [f'30 "{"x" * 200}{number}"' for number in range(20)],
    ("alias.example.com", "CNAME"): ["5 db.example.com."],
    ("db.example.com", "A"): ["60 192.0.2.1", "60 192.0.2.2"],
    ("six.example.com", "AAAA"): ["40 2001:db8::1"],
}


def name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


async def test_a_record_comes_as_the_server_has_it(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (server, system_dns):
        response = await system_dns.ask(name("_x._tcp.example.com"), dns.rdatatype.SRV)
        assert [rrset.to_text() for rrset in response.answer] == [
            "_x._tcp.example.com. 30 IN SRV 1 2 27017 db.example.com."
        ]
        assert server.asked == ["SRV _x._tcp.example.com"]


async def test_nothing_there_and_no_such_name_are_answers(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (server, system_dns):
        empty = await system_dns.ask(name("example.com"), dns.rdatatype.MX)
        assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, [])
        missing = await system_dns.ask(name("missing.example.com"), dns.rdatatype.TXT)
        assert missing.rcode() == dns.rcode.NXDOMAIN
        assert missing.authority[0].ttl == 33
        # The search list is not for questions like these.
        assert server.asked == ["MX example.com", "TXT missing.example.com"]


async def test_what_is_too_long_for_a_datagram_comes_by_tcp(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (server, system_dns):
        server.truncates = True
        response = await system_dns.ask(name("big.example.com"), dns.rdatatype.TXT)
        assert len(response.answer[0]) == 20
        assert len(server.asked) == 2


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_a_server_that_fails_is_an_error(tmp_path: Path, rcode: dns.rcode.Rcode) -> None:
    async with upstream(tmp_path, ZONE) as (server, system_dns):
        server.rcode = rcode
        with pytest.raises(SystemDnsError, match=r"cannot ask for TXT of example\.com"):
            await system_dns.ask(name("example.com"), dns.rdatatype.TXT)
        assert await system_dns.times_to_live("db.example.com") == {}


async def test_a_silent_server_is_an_error_in_time(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (server, _):
        server.is_silent = True
        system_dns = SystemDns(tmp_path / "resolv.conf", port=server.port, lifetime_s=0.05)
        with pytest.raises(SystemDnsError):
            await system_dns.ask(name("example.com"), dns.rdatatype.TXT)


async def test_no_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemDnsError):
        await SystemDns(tmp_path / "missing").ask(name("example.com"), dns.rdatatype.TXT)
    assert await SystemDns(tmp_path / "missing").times_to_live("example.com") == {}


async def test_a_changed_configuration_is_read_again(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (server, _):
        path = tmp_path / "other.conf"
        path.write_text("nameserver not-an-address\n")
        system_dns = SystemDns(path, port=server.port, lifetime_s=1.0)
        with pytest.raises(SystemDnsError):
            await system_dns.ask(name("example.com"), dns.rdatatype.TXT)
        path.write_text("nameserver 127.0.0.1\n")
        assert (await system_dns.ask(name("example.com"), dns.rdatatype.TXT)).answer


async def test_times_to_live_are_the_least_on_the_way(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (_, system_dns):
        both = {ip_address("192.0.2.1"), ip_address("192.0.2.2")}
        assert await system_dns.times_to_live("db.example.com") == dict.fromkeys(both, 60)
        assert await system_dns.times_to_live("alias.example.com") == dict.fromkeys(both, 5)
        assert await system_dns.times_to_live("six.example.com") == {ip_address("2001:db8::1"): 40}
        assert await system_dns.times_to_live("missing.example.com") == {}
        assert await system_dns.times_to_live("x" * 64 + ".example.com") == {}


async def test_a_time_to_live_waits_for_no_thread(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (server, system_dns):
        may_end = Event()
        busy = [asyncio.ensure_future(system_dns.threads.run(may_end.wait, name="busy")) for _ in range(8)]
        while not system_dns.threads.is_full:
            await asyncio.sleep(0)
        assert await system_dns.times_to_live("db.example.com") == {}
        assert not server.asked
        may_end.set()
        await asyncio.gather(*busy)


async def test_a_question_may_be_cancelled_anywhere(tmp_path: Path) -> None:
    async def ask(attempt: Attempt) -> None:
        async with upstream(tmp_path, ZONE) as (_, system_dns):
            response = await attempt.run(system_dns.ask(name("example.com"), dns.rdatatype.TXT))
            assert response is None or response.answer
            while system_dns.threads.count:  # whose socket would be taken for a lost one
                await asyncio.sleep(0)

    await sweep(ask, "at once")
