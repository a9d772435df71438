"""Learning of a client that leaves from ``receive()`` alone."""

from __future__ import annotations

import asyncio
from typing import Any

from longshore.runtime.worker.watch import Watch


class Server:
    """Gives messages as they are put in."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for message in messages:
            self.queue.put_nowait(message)

    async def receive(self) -> dict[str, Any]:
        return await self.queue.get()


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}
WITH_BODY = {"headers": [(b"content-length", b"2")]}


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_request_without_a_body_is_watched_at_once() -> None:
    server, told = Server(part(b"", more=False)), []
    watch = Watch({"headers": []}, server.receive)
    watch.on_lost = lambda: told.append(1)
    await turns()
    server.queue.put_nowait(GONE)
    await turns()
    assert watch.is_lost
    assert told == [1]
    assert await watch.receive() == part(b"", more=False)
    assert await watch.receive() == GONE
    watch.stop()


async def test_request_with_a_body_is_watched_when_it_was_read() -> None:
    server, told = Server(part(b"a", more=True), part(b"b", more=False), GONE), []
    watch = Watch(WITH_BODY, server.receive)
    watch.on_lost = lambda: told.append(1)
    await turns()
    assert server.queue.qsize() == 3
    assert (await watch.receive())["body"] == b"a"
    assert (await watch.receive())["body"] == b"b"
    await turns()
    assert told == [1]
    watch.stop()


async def test_client_that_leaves_while_its_body_is_read() -> None:
    server, told = Server(part(b"a", more=True), GONE), []
    watch = Watch(WITH_BODY, server.receive)
    watch.on_lost = lambda: told.append(1)
    await watch.receive()
    assert await watch.receive() == GONE
    assert told == [1]
    watch.stop()


async def test_receive_waits_for_the_watch() -> None:
    server = Server()
    watch = Watch({"headers": []}, server.receive)
    reading = asyncio.ensure_future(watch.receive())
    await turns()
    assert not reading.done()
    server.queue.put_nowait(part(b"", more=False))
    assert (await reading)["type"] == "http.request"
    reading = asyncio.ensure_future(watch.receive())
    await turns()
    server.queue.put_nowait(GONE)
    assert await reading == GONE
    watch.stop()


async def test_stop_ends_the_watch() -> None:
    watch = Watch({"headers": []}, Server().receive)
    told: list[int] = []
    watch.on_lost = lambda: told.append(1)
    watch.stop()
    await turns()
    assert told == []
