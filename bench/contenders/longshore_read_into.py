"""Longshore with one buffer for everything: ``socket.readable.read_into(buffer)``."""

from __future__ import annotations

from bench.contenders.clock import Clock
from bench.contenders.job import CHUNK_BYTES, Contender, Job, Reading
from bench.contenders.longshore_socket import open_socket
from bench.contenders.runners import run_asyncio


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    buffer = bytearray(CHUNK_BYTES)
    total = 0
    async with open_socket(job) as socket:
        await socket.opened
        clock = Clock()
        await socket.writable.write(b"g")
        while got := await socket.readable.read_into(buffer):
            total += got
        reading = clock.reading()
    assert total == job.count
    return reading


CONTENDER = Contender(run_asyncio, {"bulk_in": bulk_in})
