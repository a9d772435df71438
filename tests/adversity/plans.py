"""What the adversity tests have in common: fault plans drawn by Hypothesis, and what a client saw."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from hypothesis import strategies as st

from longshore import SocketError
from longshore.testing import ByteWise, Chunked, Cut, Delay, Fault, HalfClose, Reset, Stall, Truncate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from longshore import Promise, Socket
    from longshore.testing import FaultProxy

__all__ = [
    "LIMIT_S",
    "End",
    "Plan",
    "ReadStyle",
    "first_ending",
    "pieces_of",
    "plans",
    "read_styles",
    "read_to_end",
    "resuming",
    "settled",
]

LIMIT_S: Final = 20.0
"""Bound on one example, after which it hangs."""
SOURCE: Final = bytes(range(251)) * 800  # 251 is prime: no period of a buffer size
SMALL_BYTES: Final = 600  # what may go byte by byte

ReadStyle = Literal["read", "read_into", "iterate", "reader"]
End: TypeAlias = SocketError | None
"""How reading ended: the error, or None for end-of-file."""

read_styles: st.SearchStrategy[ReadStyle] = st.sampled_from(["read", "read_into", "iterate", "reader"])


@dataclass(frozen=True)
class Plan:
    """One connection that goes wrong."""

    payload_bytes: int
    script: tuple[Fault, ...]
    piece_sizes: tuple[int, ...]
    """How the sender cuts the payload up, as far as it makes no thousands of pieces of it."""

    @property
    def payload(self) -> bytes:
        """What is sent."""
        return SOURCE[: self.payload_bytes]


@st.composite
def plans(draw: st.DrawFn, *, slack_bytes: int = 10) -> Plan:
    """Draw a payload and a script; offsets lie anywhere in it, on its edges, or up to ``slack_bytes`` beyond."""
    rule = draw(
        st.one_of(st.none(), st.just(ByteWise()), st.builds(Chunked, st.lists(st.integers(1, 5000), min_size=1)))
    )
    is_slow = isinstance(rule, ByteWise) or (isinstance(rule, Chunked) and min(rule.sizes) < 100)
    size = draw(st.integers(0, SMALL_BYTES if is_slow else len(SOURCE)))
    offsets = st.one_of(st.sampled_from([0, 1, size // 2, size]), st.integers(0, size + slack_bytes))
    kinds: st.SearchStrategy[Callable[[int], Fault]] = st.sampled_from([Cut, Reset, Truncate, HalfClose])
    script: list[Fault] = [draw(kinds)(draw(offsets))] if draw(st.booleans()) else []
    holds = st.one_of(st.builds(Stall, offsets), st.builds(Delay, offsets, st.just(0.0)))
    script += draw(st.lists(holds, max_size=2))
    piece_sizes = draw(st.lists(st.integers(1, 70000), min_size=1, max_size=3))
    return Plan(size, (*script, *([rule] if rule else [])), tuple(piece_sizes))


def first_ending(script: Sequence[Fault]) -> Cut | Reset | Truncate | HalfClose | None:
    """Return the fault that ends the direction, if there is one."""
    endings = [fault for fault in script if isinstance(fault, (Cut, Reset, Truncate, HalfClose))]
    return min(endings, key=lambda fault: fault.at_bytes, default=None)


def pieces_of(plan: Plan) -> Iterator[bytes]:
    """Cut the payload into the sender's pieces."""
    rest = memoryview(plan.payload)
    least_bytes = len(rest) // 500
    for size in cycle(plan.piece_sizes):
        if not rest:
            return
        yield bytes(rest[: max(size, least_bytes)])
        rest = rest[max(size, least_bytes) :]


async def read_to_end(socket: Socket, style: ReadStyle, size: int = 10000) -> tuple[bytes, End]:
    """Read everything in the given style; the end is checked to be the end for good."""
    received = bytearray()
    try:
        async for data in _pieces_read(socket, style, size):
            received += data
    except SocketError as exc:
        await _assert_stays(socket, exc)
        return bytes(received), exc
    await _assert_stays(socket, None)
    return bytes(received), None


async def _pieces_read(socket: Socket, style: ReadStyle, size: int) -> AsyncIterator[bytes]:
    match style:
        case "read":
            while data := await socket.readable.read(size):
                yield data
        case "read_into":
            buffer = bytearray(size)
            while count := await socket.readable.read_into(buffer):
                yield bytes(buffer[:count])
        case "iterate":
            async for data in socket.readable:
                yield data
        case "reader":
            reader = socket.readable.get_reader()
            try:
                while data := await reader.read(size):
                    yield data
            finally:
                reader.release_lock()


async def _assert_stays(socket: Socket, end: End) -> None:
    for _ in range(2):
        outcome: bytes | SocketError
        try:
            outcome = await socket.readable.read()
        except SocketError as exc:
            outcome = exc
        assert outcome == b"" if end is None else type(outcome) is type(end), f"{end!r} became {outcome!r}"


async def settled(promise: Promise[Any]) -> SocketError | None:
    """Wait for a promise; return its error."""
    try:
        await promise
    except SocketError as exc:
        return exc
    return None


@asynccontextmanager
async def resuming(proxy: FaultProxy) -> AsyncIterator[None]:
    """Let every stall go on as soon as it happens."""

    async def resume() -> None:
        while True:
            await proxy.wait_stalled()
            proxy.resume()
            await asyncio.sleep(0)

    task = asyncio.create_task(resume())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
