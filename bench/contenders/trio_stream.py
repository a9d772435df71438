"""trio: ``open_tcp_stream``, ``SocketStream`` and ``SSLStream``."""

from __future__ import annotations

import trio

from bench.contenders.clock import Clock
from bench.contenders.flight_reply import parse_reply
from bench.contenders.job import CHUNK_BYTES, HOST, MESSAGE, WARM_UP_SOCKETS, Contender, Job, Reading
from bench.contenders.memory import resident_bytes
from bench.contenders.runners import run_trio

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


async def _round_trips(stream: Stream, count: int) -> None:
    for _ in range(count):
        await stream.send_all(MESSAGE)
        got = 0
        while got < len(MESSAGE):
            got += len(await stream.receive_some())


def _wrapped(stream: trio.SocketStream, job: Job) -> Stream:
    return trio.SSLStream(stream, job.context(), server_hostname=HOST, https_compatible=True)


async def _open(job: Job) -> Stream:
    stream = await trio.open_tcp_stream(HOST, job.port)
    if job.ca is None or job.mode == "starttls":
        return stream
    return _wrapped(stream, job)


async def _ready(job: Job) -> Stream:
    """Like ``_open``, with the handshake done, which trio makes at the first write otherwise."""
    stream = await _open(job)
    if isinstance(stream, trio.SSLStream):
        await stream.do_handshake()
    return stream


async def _count_to_end(stream: Stream) -> int:
    total = 0
    while chunk := await stream.receive_some(CHUNK_BYTES):
        total += len(chunk)
    return total


async def echo(job: Job) -> Reading:
    """Time round trips of 64 bytes."""
    async with await _ready(job) as stream:
        await _round_trips(stream, job.warm_up)
        clock = Clock()
        await _round_trips(stream, job.count)
        return clock.reading()


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    async with await _ready(job) as stream:
        clock = Clock()
        await stream.send_all(b"g")
        total = await _count_to_end(stream)
        reading = clock.reading()
        assert total == job.count
        return reading


async def bulk_out(job: Job) -> Reading:
    """Time sending ``count`` bytes until the server has acknowledged the last."""
    chunk = job.chunk()
    async with await _ready(job) as stream:
        clock = Clock()
        for _ in range(job.count // CHUNK_BYTES):
            await stream.send_all(chunk)
        await stream.receive_some(1)
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


async def _upgraded(job: Job) -> Stream:
    stream = await trio.open_tcp_stream(HOST, job.port)
    await stream.receive_some()
    await stream.send_all(b"STARTTLS\n")
    await stream.receive_some()
    return _wrapped(stream, job)


async def flights(job: Job) -> Reading:
    """Write as early as the API lets us and return what the server counted."""
    stream = await (_upgraded(job) if job.mode == "starttls" else _open(job))
    async with stream:
        await stream.send_all(b"request\n")
        return parse_reply(bytes(await stream.receive_some()))


CONTENDER = Contender(
    run_trio,
    {"echo": echo, "bulk_in": bulk_in, "bulk_out": bulk_out, "dial": dial, "idle": idle, "flights": flights},
)
