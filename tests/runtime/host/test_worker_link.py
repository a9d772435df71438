"""The host's end of one worker."""

from __future__ import annotations

import asyncio

from longshore.proto.ipc.messages import Drain, Drained, HandOver
from tests.runtime.host.links import Told, linked


async def test_what_a_worker_says_arrives_in_order_even_when_it_has_ended() -> None:
    told: Told = []
    async with linked(7, told) as (link, worker):
        worker.send(HandOver())
        worker.send(Drained())
        worker.close()
        await link.ended()
        assert told == [(7, HandOver(), []), (7, Drained(), [])]


async def test_messages_reach_the_worker() -> None:
    async with linked() as (link, worker):
        link.send(Drain(timeout_s=1.0))
        assert await asyncio.to_thread(worker.receive) == (Drain(timeout_s=1.0), [])


async def test_a_message_to_a_worker_that_is_gone_is_dropped() -> None:
    async with linked() as (link, worker):
        worker.close()
        await link.ended()
        link.send(Drain(timeout_s=1.0))


async def test_bytes_that_are_no_frames_are_told() -> None:
    told: Told = []
    async with linked(1, told) as (link, worker):
        worker._sock.send(b"\xff" * 10)
        await link.ended()
        assert told == [(1, None, [])]
