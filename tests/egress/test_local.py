"""Tests of ``longshore.egress.local``: egress for a worker inside a test."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from longshore.config.model import NetworkRules
from longshore.egress.local import LocalEgress
from longshore.errors import PolicyDenied, SocketError
from tests.egress.broker_rig import make_config, request
from tests.net.test_connect import silent_port
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from longshore.proto.ipc.egress import AuditRecord


async def settled() -> None:
    """Let what was given up end."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_connects_by_the_workers_rules_and_tells_who_asked() -> None:
    records: list[AuditRecord] = []
    egress = LocalEgress(make_config(), request_id=lambda: "r1", via=lambda: "fetch()", write_audit=records.append)
    with RawServer() as server:
        connection = await egress.dialer.dial(request(server.address))
        assert [(record.event, record.request_id, record.via) for record in records] == [("open", "r1", "fetch()")]
        connection.stream.close()
        (await server.accept()).close()
    egress.abort()
    await settled()


async def test_a_denial_is_logged_with_the_rule(caplog: pytest.LogCaptureFixture) -> None:
    egress = LocalEgress(make_config(network=NetworkRules(deny=("8.8.8.0/24",))), request_id=str, via=str)
    with pytest.raises(PolicyDenied, match=r"^connection to 8\.8\.8\.8:53 blocked by policy$"):
        await egress.dialer.dial(request("8.8.8.8:53"))
    assert caplog.messages == ["8.8.8.8:53: blocked by policy: 8.8.8.0/24"]
    egress.abort()
    await settled()


async def test_what_is_under_way_in_the_end_fails() -> None:
    egress = LocalEgress(make_config(), request_id=str, via=str)
    with silent_port() as port:
        dialing = asyncio.create_task(egress.dialer.dial(request(f"127.0.0.1:{port}")))
        await settled()
        egress.abort()
        egress.abort()
        with pytest.raises(SocketError, match="the worker ends"):
            await dialing
        await settled()


async def test_a_look_up_under_way_ends_with_it() -> None:
    egress = LocalEgress(make_config(), request_id=str, via=str)
    free = threading.Event()

    def get_addresses(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        free.wait()
        return []

    egress._context.resolver._get_addresses = get_addresses
    dialing = asyncio.create_task(egress.dialer.dial(request("name.example:1")))
    await settled()
    egress.abort()
    with pytest.raises(SocketError):
        await dialing
    while egress._context.resolver._flights:
        await asyncio.sleep(0)
    free.set()
