"""anyio: ``connect_tcp``, ``SocketStream`` and ``TLSStream``, over asyncio or uvloop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.streams.tls import TLSStream

from bench.contenders.clock import Clock
from bench.contenders.flight_reply import parse_reply
from bench.contenders.job import CHUNK_BYTES, HOST, MESSAGE, WARM_UP_SOCKETS, Contender, Job, Reading
from bench.contenders.memory import resident_bytes
from bench.contenders.runners import run_anyio

if TYPE_CHECKING:
    from anyio.abc import ByteStream


async def _round_trips(stream: ByteStream, count: int) -> None:
    for _ in range(count):
        await stream.send(MESSAGE)
        got = 0
        while got < len(MESSAGE):
            got += len(await stream.receive())


async def _open(job: Job) -> ByteStream:
    if job.ca is None or job.mode == "starttls":
        return await anyio.connect_tcp(HOST, job.port)
    return await anyio.connect_tcp(HOST, job.port, ssl_context=job.context(), tls_hostname=HOST)


async def _count_to_end(stream: ByteStream) -> int:
    total = 0
    try:
        while True:
            total += len(await stream.receive(CHUNK_BYTES))
    except anyio.EndOfStream:
        return total


async def echo(job: Job) -> Reading:
    """Time round trips of 64 bytes."""
    async with await _open(job) as stream:
        await _round_trips(stream, job.warm_up)
        clock = Clock()
        await _round_trips(stream, job.count)
        return clock.reading()


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    async with await _open(job) as stream:
        clock = Clock()
        await stream.send(b"g")
        total = await _count_to_end(stream)
        reading = clock.reading()
        assert total == job.count
        return reading


async def bulk_out(job: Job) -> Reading:
    """Time sending ``count`` bytes until the server has acknowledged the last."""
    chunk = job.chunk()
    async with await _open(job) as stream:
        clock = Clock()
        for _ in range(job.count // CHUNK_BYTES):
            await stream.send(chunk)
        await stream.receive(1)
        return clock.reading()


async def _dials(job: Job, count: int) -> None:
    for _ in range(count):
        async with await _open(job) as stream:
            assert await _count_to_end(stream) == 1


async def dial(job: Job) -> Reading:
    """Time connect, one byte, close."""
    await _dials(job, job.warm_up)
    clock = Clock()
    await _dials(job, job.count)
    return clock.reading()


async def idle(job: Job) -> Reading:
    """Count the memory of open connections on which nothing happens."""
    kept = [await _open(job) for _ in range(WARM_UP_SOCKETS)]
    before = resident_bytes()
    kept += [await _open(job) for _ in range(job.count)]
    return {"bytes": resident_bytes() - before}


async def _upgraded(job: Job) -> ByteStream:
    stream = await _open(job)
    await stream.receive()
    await stream.send(b"STARTTLS\n")
    await stream.receive()
    return await TLSStream.wrap(stream, hostname=HOST, ssl_context=job.context())


async def flights(job: Job) -> Reading:
    """Write as early as the API lets us and return what the server counted."""
    stream = await (_upgraded(job) if job.mode == "starttls" else _open(job))
    async with stream:
        await stream.send(b"request\n")
        return parse_reply(await stream.receive())


CONTENDER = Contender(
    run_anyio,
    {"echo": echo, "bulk_in": bulk_in, "bulk_out": bulk_out, "dial": dial, "idle": idle, "flights": flights},
)
