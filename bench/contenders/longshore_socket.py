"""Longshore: ``connect()``, ``socket.readable`` and ``socket.writable``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contenders.clock import Clock
from bench.contenders.flight_reply import parse_reply
from bench.contenders.job import CHUNK_BYTES, HOST, MESSAGE, WARM_UP_SOCKETS, Contender, Job, Reading
from bench.contenders.memory import resident_bytes
from bench.contenders.runners import run_asyncio
from longshore import Socket, TlsOptions, connect

if TYPE_CHECKING:
    from longshore import ReadableStream

__all__ = ["CONTENDER", "open_socket"]


def open_socket(job: Job) -> Socket:
    """Return a socket that is on its way to the job's server, with TLS when the job says so."""
    if job.mode == "plain":
        return connect((HOST, job.port))
    secure_transport = "starttls" if job.mode == "starttls" else "on"
    return connect((HOST, job.port), secure_transport=secure_transport, tls=TlsOptions(context=job.context()))


async def _round_trips(socket: Socket, count: int) -> None:
    readable, writable = socket.readable, socket.writable
    for _ in range(count):
        await writable.write(MESSAGE)
        got = 0
        while got < len(MESSAGE):
            chunk = await readable.read()
            assert chunk
            got += len(chunk)


async def _count_to_end(readable: ReadableStream) -> int:
    total = 0
    while chunk := await readable.read(CHUNK_BYTES):
        total += len(chunk)
    return total


async def echo(job: Job) -> Reading:
    """Time round trips of 64 bytes."""
    async with open_socket(job) as socket:
        await _round_trips(socket, job.warm_up)
        clock = Clock()
        await _round_trips(socket, job.count)
        return clock.reading()


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    async with open_socket(job) as socket:
        await socket.opened
        clock = Clock()
        await socket.writable.write(b"g")
        total = await _count_to_end(socket.readable)
        reading = clock.reading()
        assert total == job.count
        return reading


async def bulk_out(job: Job) -> Reading:
    """Time sending ``count`` bytes until the server has acknowledged the last."""
    chunk = job.chunk()
    async with open_socket(job) as socket:
        await socket.opened
        clock = Clock()
        for _ in range(job.count // CHUNK_BYTES):
            await socket.writable.write(chunk)
        assert len(await socket.readable.read(1)) == 1
        return clock.reading()


async def _dials(job: Job, count: int) -> None:
    for _ in range(count):
        async with open_socket(job) as socket:
            assert await _count_to_end(socket.readable) == 1


async def dial(job: Job) -> Reading:
    """Time connect, one byte, close."""
    await _dials(job, job.warm_up)
    clock = Clock()
    await _dials(job, job.count)
    return clock.reading()


async def _opened(job: Job) -> Socket:
    socket = open_socket(job)
    await socket.opened
    return socket


async def idle(job: Job) -> Reading:
    """Count the memory of open connections on which nothing happens."""
    kept = [await _opened(job) for _ in range(WARM_UP_SOCKETS)]
    before = resident_bytes()
    kept += [await _opened(job) for _ in range(job.count)]
    return {"bytes": resident_bytes() - before}


async def _upgraded(job: Job) -> Socket:
    socket = open_socket(job)
    await socket.readable.read()
    await socket.writable.write(b"STARTTLS\n")
    await socket.readable.read()
    return socket.start_tls()


async def flights(job: Job) -> Reading:
    """Write before anything is up and return what the server counted."""
    async with await _upgraded(job) if job.mode == "starttls" else open_socket(job) as socket:
        await socket.writable.write(b"request\n")
        return parse_reply(await socket.readable.read())


CONTENDER = Contender(
    run_asyncio,
    {"echo": echo, "bulk_in": bulk_in, "bulk_out": bulk_out, "dial": dial, "idle": idle, "flights": flights},
)
