"""What the checks of the conformance kit share: an owner that watches its stream, and verdicts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar, final

from longshore.errors import ResetError, SocketError, TlsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.abc import ByteStream
    from longshore.testing.driver import StreamPeer

__all__ = ["PATTERN", "CheckingOwner", "must_raise", "receive_from", "require", "require_reset", "turns"]

P = ParamSpec("P")
T = TypeVar("T")

PATTERN: Final = bytes(range(256)) * 16


@final
class CheckingOwner:
    """Counts the calls and objects to one that comes from the wrong place."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.readable_count = 0
        self.writable_count = 0
        self.broken: list[Exception] = []
        self.complaints: list[str] = []
        self._is_inside_call = False
        self._event = asyncio.Event()
        self.call(stream.set_owner, self)

    def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the stream, watching that it does not call back from within."""
        self._is_inside_call = True
        try:
            return method(*args, **kwargs)
        finally:
            self._is_inside_call = False

    async def changed(self) -> None:
        """Wait for a call."""
        await self._event.wait()
        self._event.clear()
        require(not self.complaints, "; ".join(self.complaints))

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Read as an owner must: try, and wait for a call after None."""
        while (data := self.call(self.stream.try_read, max_bytes)) is None:
            await self.changed()
        require(len(data) <= max_bytes, f"try_read({max_bytes}) returned {len(data)} bytes")
        return data

    async def read_exactly(self, count: int) -> bytes:
        """Read ``count`` bytes; fail at an earlier end."""
        received = bytearray()
        while len(received) < count:
            data = await self.read(count - len(received))
            require(data != b"", f"end-of-file after {len(received)} of {count} bytes")
            received += data
        return bytes(received)

    async def write(self, data: bytes) -> None:
        """Write as an owner must: try, and wait for a call after too few."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.call(self.stream.try_write, rest) :]
            if rest:
                await self.changed()
        while not self.call(self.stream.flush):
            await self.changed()

    async def write_eof(self) -> None:
        """End the write direction as an owner must."""
        while not self.call(self.stream.try_write_eof):
            await self.changed()

    async def drain_until_error(self) -> tuple[bytes, SocketError]:
        """Read what is left in front of an error; fail at end-of-file."""
        received = bytearray()
        while True:
            try:
                data = await self.read()
            except SocketError as exc:
                return bytes(received), exc
            require(data != b"", "a reset was reported as end-of-file")
            received += data

    def on_readable(self) -> None:
        self._called("on_readable")
        self.readable_count += 1

    def on_writable(self) -> None:
        self._called("on_writable")
        self.writable_count += 1

    def on_broken(self, error: Exception) -> None:
        self._called("on_broken")
        self.broken.append(error)

    def _called(self, name: str) -> None:
        if self._is_inside_call:
            self.complaints.append(f"{name} was called from within a call of the stream")
        if asyncio.current_task() is not None:
            self.complaints.append(f"{name} was called from a task, not from the event loop")
        self._event.set()


def require(condition: bool, broken: str) -> None:
    if not condition:
        raise AssertionError(broken)


def require_reset(error: SocketError) -> None:
    is_truncation = isinstance(error, TlsError) and error.truncated
    require(isinstance(error, ResetError) or is_truncation, f"a reset was reported as {error!r}")


def must_raise(method: Callable[[], object], after: str) -> SocketError:
    try:
        result = method()
    except SocketError as exc:
        return exc
    raise AssertionError(f"after {after} a call returned {result!r} and should have raised a SocketError")


async def turns(count: int = 20) -> None:
    """Give the loop turns in which nothing is expected to happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def receive_from(peer: StreamPeer, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        data = await peer.receive()
        require(data != b"", f"the peer got end-of-file after {len(received)} of {count} bytes")
        received += data
    require(len(received) == count, f"the peer received {len(received)} bytes instead of {count}")
    return bytes(received)
