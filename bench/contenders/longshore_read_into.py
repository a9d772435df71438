"""Longshore with one buffer for everything: ``socket.readable.read_into(buffer)``."""

from __future__ import annotations

from time import perf_counter

from bench.contenders.job import CHUNK_BYTES, Contender, Job, Reading
from bench.contenders.longshore_socket import open_socket
from bench.contenders.runners import run_asyncio


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    buffer = bytearray(CHUNK_BYTES)
    total = 0
    async with open_socket(job) as socket:
        await socket.opened
        start = perf_counter()
        await socket.writable.write(b"g")
        while got := await socket.readable.read_into(buffer):
            total += got
        seconds = perf_counter() - start
    assert total == job.count
    return {"seconds": seconds}


CONTENDER = Contender(run_asyncio, {"bulk_in": bulk_in})
