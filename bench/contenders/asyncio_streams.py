"""asyncio streams: ``open_connection``, ``StreamReader``, ``StreamWriter``."""

from __future__ import annotations

import asyncio

from bench.contenders.clock import Clock
from bench.contenders.flight_reply import parse_reply
from bench.contenders.job import CHUNK_BYTES, HOST, MESSAGE, WARM_UP_SOCKETS, Contender, Job, Reading
from bench.contenders.memory import resident_bytes
from bench.contenders.runners import run_asyncio

_LIMIT_BYTES = 4 * CHUNK_BYTES
"""The default of 64 KiB pauses the transport all the time in ``bulk``; the peer gets what suits it."""


async def _round_trips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
    for _ in range(count):
        writer.write(MESSAGE)
        await reader.readexactly(len(MESSAGE))


async def echo(job: Job) -> Reading:
    """Time round trips of 64 bytes."""
    reader, writer = await asyncio.open_connection(HOST, job.port)
    await _round_trips(reader, writer, job.warm_up)
    clock = Clock()
    await _round_trips(reader, writer, job.count)
    reading = clock.reading()
    writer.close()
    return reading


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    context = job.context_or_none()
    reader, writer = await asyncio.open_connection(HOST, job.port, ssl=context, limit=_LIMIT_BYTES)
    total = 0
    clock = Clock()
    writer.write(b"g")
    while chunk := await reader.read(CHUNK_BYTES):
        total += len(chunk)
    reading = clock.reading()
    assert total == job.count
    writer.close()
    return reading


async def bulk_out(job: Job) -> Reading:
    """Time sending ``count`` bytes until the server has acknowledged the last."""
    reader, writer = await asyncio.open_connection(HOST, job.port, ssl=job.context_or_none())
    chunk = job.chunk()
    clock = Clock()
    for _ in range(job.count // CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    await reader.readexactly(1)
    reading = clock.reading()
    writer.close()
    return reading


async def _dials(port: int, count: int) -> None:
    for _ in range(count):
        reader, writer = await asyncio.open_connection(HOST, port)
        assert len(await reader.read()) == 1
        writer.close()
        await writer.wait_closed()


async def dial(job: Job) -> Reading:
    """Time connect, one byte, close."""
    await _dials(job.port, job.warm_up)
    clock = Clock()
    await _dials(job.port, job.count)
    return clock.reading()


async def idle(job: Job) -> Reading:
    """Count the memory of open connections on which nothing happens."""
    kept = [await asyncio.open_connection(HOST, job.port) for _ in range(WARM_UP_SOCKETS)]
    before = resident_bytes()
    kept += [await asyncio.open_connection(HOST, job.port) for _ in range(job.count)]
    return {"bytes": resident_bytes() - before}


async def flights(job: Job) -> Reading:
    """Write as early as the API lets us and return what the server counted."""
    early = job.context() if job.mode == "tls" else None
    reader, writer = await asyncio.open_connection(HOST, job.port, ssl=early)
    if job.mode == "starttls":
        await reader.readline()
        writer.write(b"STARTTLS\n")
        await reader.readline()
        await writer.start_tls(job.context(), server_hostname=HOST)
    writer.write(b"request\n")
    reply = await reader.readline()
    writer.close()
    return parse_reply(reply)


CONTENDER = Contender(
    run_asyncio,
    {"echo": echo, "bulk_in": bulk_in, "bulk_out": bulk_out, "dial": dial, "idle": idle, "flights": flights},
)
