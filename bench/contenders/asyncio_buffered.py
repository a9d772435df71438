"""An ``asyncio.BufferedProtocol``: receives into one buffer, the fastest way in that asyncio offers."""

from __future__ import annotations

import asyncio

from bench.contenders.clock import Clock
from bench.contenders.job import CHUNK_BYTES, HOST, Contender, Job, Reading
from bench.contenders.runners import run_asyncio


class _Receiver(asyncio.BufferedProtocol):
    """Counts bytes until the end of the stream."""

    __slots__ = ("buffer", "clock", "done", "total")

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(CHUNK_BYTES))
        self.done: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        self.clock = Clock()
        self.total = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.total += nbytes

    def eof_received(self) -> None:
        self.done.set_result(self.clock.reading())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("connection ended early"))


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(_Receiver, HOST, job.port, ssl=job.context_or_none())
    protocol.clock = Clock()
    transport.write(b"g")
    reading = await protocol.done
    assert protocol.total == job.count
    transport.close()
    return reading


CONTENDER = Contender(run_asyncio, {"bulk_in": bulk_in})
