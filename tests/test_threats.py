"""Threats of SECURITY.md that no other test shows on its own, and the check that the tests it names exist."""

from __future__ import annotations

import ast
import asyncio
import re
import ssl
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore import ClosedError, DirectDialer, EgressPolicy, PolicyDenied, TlsError, TlsOptions, connect
from longshore.net.tls_context import client_context
from longshore.testing import MemoryDialer

if TYPE_CHECKING:
    from collections.abc import Sequence


ROOT = Path(__file__).parents[1]
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def named_tests() -> list[tuple[str, str]]:
    """Return the tests that SECURITY.md names."""
    return sorted(set(NAMED_TEST.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("path", "name"), named_tests(), ids="::".join)
def test_the_tests_that_security_md_names_exist(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert name in functions


def test_a_server_cannot_renegotiate() -> None:
    assert client_context(TlsOptions(), ()).options & ssl.OP_NO_RENEGOTIATION


async def test_early_writes_do_not_reach_a_server_that_failed_the_check(other_ca_ssl_context: ssl.SSLContext) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=other_ca_ssl_context) as server:
        port = server.sockets[0].getsockname()[1]
        socket = connect(("127.0.0.1", port), secure_transport="on")
        await socket.writable.write("password")
        with pytest.raises(TlsError, match="certificate refused"):
            await socket.opened
    assert heard == []


async def test_a_flood_that_nobody_reads_is_left_to_the_peer() -> None:
    capacity_bytes = 1000
    dialer = MemoryDialer(capacity_bytes=capacity_bytes)
    socket = connect("flood.example:1", dialer=dialer)
    peer = await dialer.accept()
    await socket.opened
    accepted = 0
    for _ in range(100):
        accepted += peer.try_write(bytes(capacity_bytes))
        await asyncio.sleep(0)
    assert accepted == capacity_bytes
    socket.abort()
    peer.close()
    with pytest.raises(ClosedError):
        await socket.closed


class Rebinding:
    """Answers with a public address once, and then with the victim's."""

    def __init__(self) -> None:
        self.answers = [IPv4Address("127.0.0.1"), IPv4Address("192.0.2.1")]

    async def resolve(self, host: str, port: int) -> Sequence[IPv4Address]:
        """Return the next answer."""
        return [self.answers.pop()]


async def test_the_address_that_was_judged_is_the_one_that_is_connected() -> None:
    """K4: the first answer is judged; the second, which would be allowed, is never asked for."""
    resolver = Rebinding()
    dialer = DirectDialer(resolver=resolver, policy=EgressPolicy(allow=["127.0.0.1"]))
    socket = connect("rebinding.example:80", dialer=dialer)
    with pytest.raises(PolicyDenied):
        await socket.opened
    assert len(resolver.answers) == 1
