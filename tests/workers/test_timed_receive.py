"""``receive()`` with a time limit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longshore.workers._timed_receive import BodyTimeout, TimedReceive, timed


class Server:
    """Gives messages as uvicorn does: its event is set when there is one."""

    def __init__(self) -> None:
        self.message_event = asyncio.Event()
        self.messages: list[dict[str, Any]] = []

    def give(self, body: bytes, *, more: bool = True) -> None:
        self.messages.append({"type": "http.request", "body": body, "more_body": more})
        self.message_event.set()

    async def receive(self) -> dict[str, Any]:
        await self.message_event.wait()
        self.message_event.clear()
        return self.messages.pop()


class Timers:
    """Counts timers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._make = asyncio.timeout
        monkeypatch.setattr("longshore.workers._timed_receive.asyncio.timeout", self._counted)

    def _counted(self, timeout_s: float) -> asyncio.Timeout:
        self.count += 1
        return self._make(timeout_s)


async def test_only_a_read_that_waits_has_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, server = Timers(monkeypatch), Server()
    receive = timed(server.receive, 3600)
    server.give(b"a")
    assert (await receive())["body"] == b"a"
    assert timers.count == 0
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    assert timers.count == 1
    server.give(b"b", more=False)
    assert (await waiting)["body"] == b"b"
    # What comes behind the body is word that the client has left: for that one may wait for ever.
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    assert timers.count == 1
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_client_that_sends_nothing_is_an_oserror() -> None:
    server = Server()
    receive = timed(server.receive, 0.01)
    server.give(b"abc")
    await receive()
    with pytest.raises(
        BodyTimeout, match=r"^the client sent nothing for 0\.01 s, after 3 bytes of the request"
    ) as caught:
        await receive()
    assert isinstance(caught.value, OSError)
    assert caught.value.timeout_s == 0.01
    server.give(b"late")  # it is not lost: whoever reads on gets it
    assert (await receive())["body"] == b"late"


async def test_a_time_out_of_another_is_passed_on() -> None:
    async def receive() -> dict[str, Any]:
        raise TimeoutError("of the server")

    with pytest.raises(TimeoutError, match="of the server"):
        await TimedReceive(receive, 3600)()


def test_zero_is_no_limit() -> None:
    receive = asyncio.Event().wait
    assert timed(receive, 0) is receive  # type: ignore[arg-type, comparison-overlap] # it is not called
