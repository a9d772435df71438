"""Tests of ``longshore.egress.resolve``; the name service of the machine is not asked."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from longshore.egress.answers import Answer
from longshore.egress.resolve import EgressResolver
from longshore.egress.system_dns import SystemDns
from longshore.errors import ResolveError
from tests.egress.name_rig import NameService, upstream
from tests.sweep import Attempt, sweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOWHERE = "/nonexistent/resolv.conf"
FIRST, SECOND, V6 = map(ip_address, ("192.0.2.1", "192.0.2.2", "2001:db8::1"))


class Clock:
    """Stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def resolver(service: NameService, **options: Any) -> AsyncIterator[EgressResolver]:
    options.setdefault("system_dns", SystemDns(NOWHERE))
    made = EgressResolver(options.pop("hosts", None), get_addresses=service, **options)
    try:
        yield made
    finally:
        service.may_answer.set()
        await made.aclose()


async def test_addresses_come_in_the_systems_order_and_once() -> None:
    service = NameService({"db.example.com": ["2001:db8::1", "192.0.2.1", "192.0.2.1"]})
    async with resolver(service) as names:
        assert await names.resolve("DB.example.com.", 80) == (V6, FIRST)
        assert service.asked == ["db.example.com"]


FAILURES = [
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no-name", 2),
    (socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"), "no-address", 2),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "failed", 1),
    (OSError(5, "Input/output error"), "failed", 1),
    (UnicodeError("label too long"), "no-name", 2),
    (RuntimeError("can't start new thread"), "failed", 1),
]


@pytest.mark.parametrize(("failure", "outcome", "ttl_s"), FAILURES)
async def test_a_failure_is_told_apart_and_remembered_for_a_short_time(
    failure: Exception, outcome: str, ttl_s: int
) -> None:
    clock, service = Clock(), NameService({"x.example": failure})
    async with resolver(service, clock=clock) as names:
        answer = await names.lookup("x.example")
        assert (answer.outcome, answer.ttl_s, answer.addresses) == (outcome, ttl_s, ())
        with pytest.raises(ResolveError, match=r"cannot resolve 'x.example': .*; check the spelling") as caught:
            await names.resolve("x.example", 1)
        assert caught.value.during == "resolve"
        assert isinstance(caught.value.__cause__, OSError)
        if isinstance(failure, socket.gaierror):
            assert isinstance(caught.value.__cause__, socket.gaierror)
            assert caught.value.__cause__.errno == failure.errno
        assert len(service.asked) == 1
        clock.now += ttl_s
        await names.lookup("x.example")
        assert len(service.asked) == 2


async def test_an_empty_answer_is_no_address() -> None:
    async with resolver(NameService({"x.example": []})) as names:
        assert (await names.lookup("x.example")).outcome == "no-address"
        with pytest.raises(ResolveError, match="it has no address"):
            await names.resolve("x.example", 1)


async def test_hosts_come_first_and_may_say_that_there_is_none() -> None:
    service = NameService({"db.example.com": ["192.0.2.9"]})
    hosts = {"DB.example.com": ("192.0.2.2", "2001:db8::1"), "gone.example.com": ()}
    async with resolver(service, hosts=hosts) as names:
        assert await names.resolve("db.example.com", 80) == (SECOND, V6)
        assert (await names.lookup("gone.example.com")).outcome == "no-name"
        with pytest.raises(ResolveError, match="the configuration gives it no address"):
            await names.resolve("gone.example.com", 80)
        assert not service.asked
        assert names.peek("db.example.com.") == Answer("found", (SECOND, V6), 60, is_override=True)


def test_an_override_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="no-address"):
        EgressResolver({"db": ("no-address",)})


@pytest.mark.parametrize(
    ("system", "found"),
    [
        (["::1", "127.0.0.1"], ["::1", "127.0.0.1"]),
        (["127.0.0.1"], ["127.0.0.1"]),
        (["192.0.2.66"], ["127.0.0.1"]),
        (["192.0.2.66", "127.0.0.1"], ["127.0.0.1"]),
        (socket.gaierror(socket.EAI_AGAIN, "again"), ["127.0.0.1"]),
    ],
)
@pytest.mark.parametrize("name", ["localhost", "app.localhost"])
async def test_localhost_is_loopback_whatever_the_system_says(name: str, system: Any, found: list[str]) -> None:
    service = NameService({"localhost": system, "app.localhost": ["192.0.2.66"]})
    async with resolver(service, hosts={"localhost": ("192.0.2.67",)}) as names:
        assert await names.resolve(name, 80) == tuple(map(ip_address, found))
        assert service.asked == ["localhost"]


async def test_an_answer_is_asked_for_again_after_its_time_or_when_it_led_nowhere() -> None:
    clock, service = Clock(), NameService({"db.example.com": ["192.0.2.1"]})
    async with resolver(service, clock=clock) as names:
        assert (await names.lookup("db.example.com")).ttl_s == 10
        clock.now += 4
        assert (await names.lookup("db.example.com")).ttl_s == 6
        assert len(service.asked) == 1
        clock.now += 6
        assert names.peek("db.example.com") is None
        await names.lookup("db.example.com")
        assert len(service.asked) == 2
        names.forget("DB.example.com.")
        service.known["db.example.com"] = ["192.0.2.2"]
        assert await names.resolve("db.example.com", 80) == (SECOND,)


async def started(service: NameService, count: int) -> None:
    """Wait until so many look-ups are on their way."""
    while len(service.asked) < count:
        await asyncio.sleep(0)


async def test_whoever_asks_meanwhile_shares_the_look_up_and_may_go_away() -> None:
    service = NameService({"db.example.com": ["192.0.2.1"]})
    service.may_answer.clear()
    async with resolver(service) as names:
        waiting = [asyncio.ensure_future(names.resolve("db.example.com", port)) for port in range(3)]
        await started(service, 1)
        waiting[0].cancel()
        await asyncio.sleep(0)
        service.may_answer.set()
        assert await asyncio.gather(*waiting[1:]) == [(FIRST,), (FIRST,)]
        assert waiting[0].cancelled()
        assert service.asked == ["db.example.com"]


async def test_no_more_look_ups_run_or_wait_than_may() -> None:
    service = NameService({f"n{number}": ["192.0.2.1"] for number in range(5)})
    service.may_answer.clear()
    async with resolver(service, max_threads=2, max_waiting=4) as names:
        waiting = [asyncio.ensure_future(names.lookup(f"n{number}")) for number in range(4)]
        await started(service, 2)
        fifth = await names.lookup("n4")
        assert (fifth.outcome, fifth.reason, fifth.ttl_s) == ("failed", "4 names are being looked up already", 0)
        assert len(service.asked) == 2
        service.may_answer.set()
        assert [answer.outcome for answer in await asyncio.gather(*waiting)] == ["found"] * 4
        assert (await names.lookup("n4")).outcome == "found"


async def test_a_slow_name_does_not_delay_another() -> None:
    slow, quick = NameService(), NameService({"quick": ["192.0.2.1"]})
    slow.may_answer.clear()

    def get_addresses(host: str, port: object, **options: Any) -> Any:
        return (quick if host == "quick" else slow)(host, port, **options)

    names = EgressResolver(get_addresses=get_addresses, system_dns=SystemDns(NOWHERE))
    waiting = [asyncio.ensure_future(names.lookup(f"slow{number}")) for number in range(10)]
    await started(slow, 10)
    assert await names.resolve("quick", 1) == (FIRST,)
    assert not any(task.done() for task in waiting)
    slow.may_answer.set()
    await asyncio.gather(*waiting)
    await names.aclose()


async def test_closing_ends_the_wait_of_everybody() -> None:
    service = NameService()
    service.may_answer.clear()
    async with resolver(service) as names:
        waiting = [asyncio.ensure_future(names.lookup("x.example")) for _ in range(2)]
        await started(service, 1)
        await names.aclose()
        assert [answer.reason for answer in await asyncio.gather(*waiting)] == ["the worker ended"] * 2
        await names.aclose()


async def test_a_bug_is_a_failure_and_no_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with resolver(NameService()) as names:

        async def broken(_: str) -> Answer:
            raise KeyError("bug")

        monkeypatch.setattr(names, "_look_up", broken)
        assert (await names.lookup("x.example")).outcome == "failed"
        assert "a look-up broke" in caplog.text


async def test_the_time_to_live_is_the_one_of_dns_when_it_knows_the_address(tmp_path: Path) -> None:
    zone = {
        ("db.example.com", "CNAME"): ["7 real.example.com."],
        ("real.example.com", "A"): ["120 192.0.2.1", "120 192.0.2.2"],
        ("long.example.com", "A"): ["86400 192.0.2.1"],
        ("zero.example.com", "A"): ["0 192.0.2.1"],
        ("six.example.com", "AAAA"): ["40 2001:db8::1"],
        ("other.example.com", "A"): ["5 192.0.2.77"],
    }
    service = NameService(
        {
            "db.example.com": ["192.0.2.2", "192.0.2.1"],
            "long.example.com": ["192.0.2.1"],
            "zero.example.com": ["192.0.2.1"],
            "six.example.com": ["2001:db8::1"],
            "other.example.com": ["192.0.2.1"],
            "unknown.example.com": ["192.0.2.1"],
            "single": ["192.0.2.1"],
            "printer.local": ["192.0.2.1"],
            "host.example.com": ["127.0.0.1"],
        }
    )
    async with (
        upstream(tmp_path, zone) as (server, system_dns),
        resolver(service, system_dns=system_dns, ttl_patience_s=20) as names,
    ):
        expected = {"db": 7, "long": 300, "zero": 1, "six": 40, "other": 10, "unknown": 10}
        found = {name: (await names.lookup(f"{name}.example.com")).ttl_s for name in expected}
        assert found == expected
        server.asked.clear()
        for name in ("single", "printer.local", "host.example.com", "missing.example.com"):
            await names.lookup(name)
        assert not server.asked  # none of them is for DNS to know


async def test_nothing_waits_for_a_time_to_live_and_a_silent_server_is_left_alone(tmp_path: Path) -> None:
    clock = Clock()
    service = NameService({f"{letter}.example.com": ["192.0.2.1"] for letter in "abc"})
    async with upstream(tmp_path, {}) as (server, _):
        server.is_silent = True
        system_dns = SystemDns(tmp_path / "resolv.conf", port=server.port, lifetime_s=0.2)
        async with resolver(service, system_dns=system_dns, clock=clock) as names:
            assert (await names.lookup("a.example.com")).ttl_s == 10
            assert len(server.asked) == 1
            await names.lookup("b.example.com")
            assert len(server.asked) == 1
            clock.now += 31
            await names.lookup("c.example.com")
            assert len(server.asked) == 2


async def test_a_look_up_may_be_cancelled_anywhere() -> None:
    async def look_up(attempt: Attempt) -> None:
        async with resolver(NameService({"db.example.com": ["192.0.2.1"]})) as names:
            found = await attempt.run(names.resolve("db.example.com", 80))
            assert found in (None, (FIRST,))
            assert await names.resolve("db.example.com", 80) == (FIRST,)

    for mode in ("at once", "next turn", "with the result"):
        await sweep(look_up, mode)
