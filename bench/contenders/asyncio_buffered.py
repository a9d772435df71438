"""An ``asyncio.BufferedProtocol``: receives into one buffer, the fastest way in that asyncio offers."""

from __future__ import annotations

import asyncio
from time import perf_counter

from bench.contenders.job import CHUNK_BYTES, HOST, Contender, Job, Reading
from bench.contenders.runners import run_asyncio


class _Receiver(asyncio.BufferedProtocol):
    """Counts bytes until the end of the stream."""

    __slots__ = ("buffer", "done", "start", "total")

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(CHUNK_BYTES))
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.start = 0.0
        self.total = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.total += nbytes

    def eof_received(self) -> None:
        self.done.set_result(perf_counter() - self.start)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("connection ended early"))


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(_Receiver, HOST, job.port, ssl=job.context_or_none())
    protocol.start = perf_counter()
    transport.write(b"g")
    seconds = await protocol.done
    assert protocol.total == job.count
    transport.close()
    return {"seconds": seconds}


CONTENDER = Contender(run_asyncio, {"bulk_in": bulk_in})
