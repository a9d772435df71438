"""A raw ``asyncio.Protocol``, on the stdlib loop or on uvloop: the least an asyncio program can do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

from bench.contenders.clock import Clock
from bench.contenders.job import CHUNK_BYTES, HOST, MESSAGE, WARM_UP_SOCKETS, Contender, Job, Reading
from bench.contenders.memory import resident_bytes
from bench.contenders.runners import run_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable

P = TypeVar("P", bound=asyncio.Protocol)


class _Base(asyncio.Protocol):
    """Holds the transport and a future for what is measured."""

    __slots__ = ("clock", "done", "transport")

    def __init__(self) -> None:
        self.done: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.clock: Clock | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def finish(self) -> None:
        """Stop the clock."""
        if not self.done.done():
            assert self.clock is not None
            self.done.set_result(self.clock.reading())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("connection ended early"))


class _Echo(_Base):
    """Answers every complete message with the next one; the clock starts after the warm-up."""

    __slots__ = ("count", "got", "left")

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.got = 0
        self.left = job.warm_up
        self.count = job.count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(MESSAGE)

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if self.got < len(MESSAGE):
            return
        self.got = 0
        self.left -= 1
        if self.left <= 0 and self.lap_ended():
            return
        self.transport.write(MESSAGE)

    def lap_ended(self) -> bool:
        """Start the clock after the warm-up; stop it and return True after the work."""
        if self.clock is not None:
            self.finish()
            return True
        self.left = self.count
        self.clock = Clock()
        return False


class _Receiver(_Base):
    """Counts bytes until the end of the stream."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def data_received(self, data: bytes) -> None:
        self.total += len(data)

    def eof_received(self) -> None:
        self.finish()


class _Sender(_Base):
    """Writes whenever the transport has room."""

    __slots__ = ("chunk", "left", "paused")

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.chunk = job.chunk()
        self.left = job.count // CHUNK_BYTES
        self.paused = False

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.pump()

    def pump(self) -> None:
        """Write until told to pause."""
        while self.left and not self.paused:
            self.left -= 1
            self.transport.write(self.chunk)

    def data_received(self, data: bytes) -> None:
        """Take the one byte that says that everything arrived."""
        self.finish()


class _Dial(asyncio.Protocol):
    """Tells when the connection is over; the transport closes itself at the end of the stream."""

    __slots__ = ("done", "got")

    def __init__(self) -> None:
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.got = 0

    def data_received(self, data: bytes) -> None:
        self.got += len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set_result(self.got)


class _Idle(asyncio.Protocol):
    """Keeps nothing but itself."""

    __slots__ = ()


async def _connect(make: Callable[[], P], job: Job) -> P:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(make, HOST, job.port, ssl=job.context_or_none())
    return protocol


async def _outcome(protocol: _Base) -> Reading:
    reading = await protocol.done
    protocol.transport.abort()
    return reading


async def echo(job: Job) -> Reading:
    """Time round trips of 64 bytes."""
    return await _outcome(await _connect(lambda: _Echo(job), job))


async def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    protocol = await _connect(_Receiver, job)
    protocol.clock = Clock()
    protocol.transport.write(b"g")
    reading = await _outcome(protocol)
    assert protocol.total == job.count
    return reading


async def bulk_out(job: Job) -> Reading:
    """Time sending ``count`` bytes until the server has acknowledged the last."""
    protocol = await _connect(lambda: _Sender(job), job)
    protocol.clock = Clock()
    protocol.pump()
    return await _outcome(protocol)


async def _dials(job: Job, count: int) -> None:
    for _ in range(count):
        protocol = await _connect(_Dial, job)
        assert await protocol.done == 1


async def dial(job: Job) -> Reading:
    """Time connect, one byte, close."""
    await _dials(job, job.warm_up)
    clock = Clock()
    await _dials(job, job.count)
    return clock.reading()


async def idle(job: Job) -> Reading:
    """Count the memory of open connections on which nothing happens."""
    loop = asyncio.get_running_loop()
    kept = [await loop.create_connection(_Idle, HOST, job.port) for _ in range(WARM_UP_SOCKETS)]
    before = resident_bytes()
    kept += [await loop.create_connection(_Idle, HOST, job.port) for _ in range(job.count)]
    return {"bytes": resident_bytes() - before}


CONTENDER = Contender(run_asyncio, {"echo": echo, "bulk_in": bulk_in, "bulk_out": bulk_out, "dial": dial, "idle": idle})
