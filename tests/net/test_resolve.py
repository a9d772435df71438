"""Tests of ``longshore.net.resolve``; the name service itself is not asked."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from longshore.errors import ResolveError
from longshore.net.resolve import SystemResolver


class Answers:
    """Stands for the loop's ``getaddrinfo``, which would ask the network."""

    def __init__(self, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer = answer
        self.asked: list[tuple[str, int]] = []
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> Any:
        self.asked.append((host, port))
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in self.answer]


@pytest.mark.one_loop("asyncio")
async def test_addresses_come_in_the_systems_order_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(
        [
            (socket.AF_INET6, ("2001:db8::1", 80, 0, 0)),
            (socket.AF_INET, ("192.0.2.1", 80)),
            (socket.AF_INET6, ("2001:db8::1", 80, 0, 0)),
            (socket.AF_INET6, ("fe80::1%lo", 80, 0, 1)),
        ],
        monkeypatch,
    )
    found = await SystemResolver().resolve("name.example", 80)
    assert found == [ip_address(text) for text in ("2001:db8::1", "192.0.2.1", "fe80::1%lo")]
    assert answers.asked == [("name.example", 80)]


@pytest.mark.one_loop("asyncio")
@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError("odd"), "odd"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
async def test_a_failure_is_a_resolve_error_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, text: str
) -> None:
    Answers(failure, monkeypatch)
    with pytest.raises(ResolveError, match=f"cannot resolve 'name.example': {text}; check the spelling") as caught:
        await SystemResolver().resolve("name.example", 80)
    assert caught.value.__cause__ is failure
    assert caught.value.address == "name.example"
    assert caught.value.during == "resolve"


@pytest.mark.one_loop("asyncio")
async def test_a_name_without_addresses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers([], monkeypatch)
    with pytest.raises(ResolveError, match="it has no address"):
        await SystemResolver().resolve("name.example", 80)


async def test_localhost_is_known() -> None:
    assert all(ip.is_loopback for ip in await SystemResolver().resolve("localhost", 80))


async def test_the_waiting_can_be_cancelled() -> None:
    task = asyncio.create_task(SystemResolver().resolve("localhost", 80))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
