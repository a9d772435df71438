"""Tests of ``longshore.net.opening``: what dialers have in common. The rest is ``tests/contract/test_dialers.py``."""

from __future__ import annotations

import asyncio

import pytest

from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.errors import ConnectError, ConnectTimeout, PolicyDenied
from longshore.net.opening import Opening, Progress, limited_time
from longshore.policy import EgressPolicy
from longshore.testing import StaticResolver
from tests.net.test_connect import silent_port
from tests.testing.raw import RawServer

NAMES = StaticResolver({"server.example": ["127.0.0.1"]})
RULES = EgressPolicy(allow=("local",))


def opening(address: str, policy: EgressPolicy | None = RULES) -> Opening:
    return Opening(DialRequest(SocketAddress.parse(address)), NAMES, policy)


async def test_a_near_literal_is_open_at_once() -> None:
    with RawServer() as server:
        opened = opening(server.address).begin()
        assert opened is not None
        assert (opened.remote_address, opened.is_near, opened.dns_s) == (server.address, True, None)
        assert str(opened.ip) == "127.0.0.1"
        opened.sock.close()
        (await server.accept()).close()


async def test_a_name_takes_longer() -> None:
    with RawServer() as server:
        under_way = opening(f"server.example:{server.address.rpartition(':')[2]}")
        assert under_way.begin() is None
        opened = await under_way.finish()
        assert (opened.remote_address, opened.is_near) == (server.address, False)
        assert opened.dns_s is not None
        opened.sock.close()
        (await server.accept()).close()


async def test_what_is_denied_is_not_begun() -> None:
    with RawServer() as server, pytest.raises(PolicyDenied):
        opening(server.address, EgressPolicy()).begin()
    with pytest.raises(PolicyDenied):
        opening("server.example:1", EgressPolicy(deny=("server.example",))).begin()


async def test_a_refusal_says_how_far_it_came() -> None:
    refused = opening("127.0.0.1:1")
    with pytest.raises(ConnectError):
        refused.begin()
    assert refused.progress.during == "connect"
    assert [attempt.address for attempt in refused.progress.attempts] == ["127.0.0.1:1"]


async def test_what_is_abandoned_is_closed() -> None:
    with silent_port() as port:
        under_way = opening(f"127.0.0.1:{port}", None)
        assert under_way.begin() is None
        under_way.abandon()
        under_way.abandon()


@pytest.mark.parametrize(
    ("during", "words", "told"),
    [
        ("queue", "the wait for its turn (limits of the worker)", "connect"),
        ("resolve", "resolving the name", "resolve"),
        ("connect", "connecting", "connect"),
        ("tls", "the TLS handshake", "tls"),
    ],
)
async def test_time_that_runs_out_is_told_with_the_phase(during: str, words: str, told: str) -> None:
    with pytest.raises(ConnectTimeout) as caught:
        async with limited_time("server.example:1", 0.001, Progress(during)):
            await asyncio.Event().wait()
    assert str(caught.value) == f"no connection to server.example:1 within 0.001 s: time ran out during {words}"
    assert (caught.value.during, caught.value.timeout_s) == (told, 0.001)


async def test_time_that_has_passed_already_counts() -> None:
    with pytest.raises(ConnectTimeout, match=r"within 60 s"):
        async with limited_time("server.example:1", 60, Progress("tls"), elapsed_s=61.0):
            await asyncio.Event().wait()


async def test_somebody_elses_timeout_is_not_taken_for_ours() -> None:
    with pytest.raises(TimeoutError, match="theirs") as caught:
        async with limited_time("server.example:1", 60, Progress()):
            raise TimeoutError("theirs")
    assert not isinstance(caught.value, ConnectTimeout)
