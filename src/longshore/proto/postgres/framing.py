"""Cut a byte stream into messages, in bounded memory (PURE; manual: Message Formats).

Every message after start-up is a type byte, an Int32 length that counts itself, and the payload. ``FrameReader``
returns, in the order of the wire:

- ``Frame``: one whole message of a type that the caller wants to see;
- ``Run``: whole messages that lie behind each other, none of which the caller wants to see, as one slice;
- ``FrameStart`` and then ``FrameChunk``…: a message longer than the bound for whole ones, as it arrives.

Rules: a message is copied at most once between the buffer it came in and the event; what is kept between two calls is
at most one message below its bound; ``b"".join(event.raw for event in events)`` is exactly the input so far without
what is kept, so a relay may forward ``raw`` without looking.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from longshore.proto.postgres.constants import BACKEND_LIMITS, FRONTEND_LIMITS, BackendType
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.proto.postgres.wire import HEADER, LENGTH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BULK_TYPES",
    "Frame",
    "FrameChunk",
    "FrameEvent",
    "FrameReader",
    "FrameStart",
    "HEADER_BYTES",
    "MAX_WHOLE_BYTES",
    "Run",
    "backend_reader",
    "frontend_reader",
]

HEADER_BYTES = HEADER.size

MAX_WHOLE_BYTES = 64 * 1024
"""Default bound of a whole message: one read of a socket; what is longer is passed on as it comes."""

BULK_TYPES = frozenset({int(BackendType.DataRow), int(BackendType.CopyData)})
"""What a relay need not look at: rows and COPY data change no state."""

_TYPES = 256
_unpack = HEADER.unpack_from


class Frame(NamedTuple):
    """A whole message."""

    type: int
    raw: bytes
    """With its header."""

    @property
    def payload(self) -> bytes:
        """All behind the length word."""
        return self.raw[HEADER_BYTES:]


class Run(NamedTuple):
    """Whole messages of types that the caller does not want to see."""

    raw: bytes
    messages: int
    """How many."""


class FrameStart(NamedTuple):
    """The header of a message that comes in chunks."""

    type: int
    raw: bytes
    """The five bytes."""
    payload_bytes: int
    """How many bytes follow in ``FrameChunk``."""


class FrameChunk(NamedTuple):
    """A piece of the message that the last ``FrameStart`` announced."""

    raw: bytes
    is_last: bool


FrameEvent: TypeAlias = Frame | Run | FrameStart | FrameChunk


@lru_cache(maxsize=64)
def _tables(
    limits: tuple[tuple[int, int], ...],
    max_whole_bytes: int,
    whole_bytes: tuple[tuple[int, int], ...],
    merged: frozenset[int],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...]]:
    """Return bounds by type; readers of one kind share them: they would be most of the memory of an idle client."""
    known, bounds = dict(limits), dict(whole_bytes)
    largest = tuple(known.get(code, 0) for code in range(_TYPES))
    # The bound of the length word: a type that does not exist has 0, so one comparison finds both.
    whole = tuple(min(limit, bounds.get(code, max_whole_bytes) + LENGTH_BYTES) for code, limit in enumerate(largest))
    return largest, whole, tuple(code not in merged for code in range(_TYPES))


class FrameReader:
    """An incremental reader of one direction of a connection.

    Args:
        limits: largest length word of each type; other types are a violation.
        max_whole_bytes: messages with a longer payload are streamed.
        whole_bytes: another such bound for single types, like 1 MiB for Query.
        merged: types that are merged into ``Run``.
    """

    __slots__ = ("_chunk_bytes", "_failure", "_is_seen", "_limits", "_tail", "_whole")

    def __init__(
        self,
        limits: Mapping[int, int],
        *,
        max_whole_bytes: int = MAX_WHOLE_BYTES,
        whole_bytes: Mapping[int, int] | None = None,
        merged: Iterable[int] = (),
    ) -> None:
        bounds = whole_bytes or {}
        self._limits, self._whole, self._is_seen = _tables(
            tuple(limits.items()), max_whole_bytes, tuple(bounds.items()), frozenset(merged)
        )
        self._tail = bytearray()  # a header or message that is not complete yet
        self._chunk_bytes = 0  # of a streamed message, still to come
        self._failure: ProtocolViolation | None = None

    def another(self) -> FrameReader:
        """Return a new reader of the same kind, which takes less time than to ask for it in words."""
        twin = FrameReader.__new__(FrameReader)
        twin._limits, twin._whole, twin._is_seen = self._limits, self._whole, self._is_seen
        twin._tail = bytearray()
        twin._chunk_bytes = 0
        twin._failure = None
        return twin

    @property
    def is_between_messages(self) -> bool:
        """True at a boundary: here, and nowhere else, an end of file is clean and a hand-over is safe."""
        return not self._tail and not self._chunk_bytes and self._failure is None

    @property
    def buffered_bytes(self) -> int:
        """How much is kept for the next call."""
        return len(self._tail)

    def receive_data(self, data: bytes) -> list[FrameEvent]:
        """Take bytes in; return what is complete now.

        What was complete before a violation is returned first; the violation is raised by the next call, which may
        be ``receive_data(b"")``.

        Raises:
            ProtocolViolation: a length or type that cannot be (``is_fatal``); again by every later call.
        """
        if self._failure is not None:
            raise self._failure
        events: list[FrameEvent] = []
        position = 0
        try:
            if self._tail:
                position = self._finish_tail(data, events)
            while position < len(data):
                position = self._read(data, position, events)
        except ProtocolViolation as exc:
            self._failure = exc
            self._tail.clear()
            if not events:
                raise
        return events

    def _read(self, data: bytes, position: int, events: list[FrameEvent]) -> int:
        """Read a rest of a streamed message, or all whole messages and what is behind them."""
        if self._chunk_bytes:
            return self._read_chunk(data, position, events)
        position = self._read_whole(data, position, events)
        if len(data) - position < HEADER_BYTES:
            self._tail += data[position:]
            return len(data)
        message_type, length = _unpack(data, position)
        self._check(message_type, length)
        if length <= self._whole[message_type]:
            self._tail += data[position:]
            return len(data)
        self._start_stream(message_type, data[position : position + HEADER_BYTES], events)
        return position + HEADER_BYTES

    def _read_whole(self, data: bytes, position: int, events: list[FrameEvent]) -> int:
        """Read whole messages; return where the first stands that is not whole, too long or not legal.

        This loop is the hot path of every relay: one unpacking, three comparisons, and one slice for a message that
        is seen.
        """
        whole, is_seen, size = self._whole, self._is_seen, len(data)
        run_start, run_count = position, 0
        while position + HEADER_BYTES <= size:
            message_type, length = _unpack(data, position)
            end = position + 1 + length
            if end > size or length > whole[message_type] or length < LENGTH_BYTES:
                break
            if is_seen[message_type]:
                if run_count:
                    events.append(Run(data[run_start:position], run_count))
                    run_count = 0
                events.append(Frame(message_type, data[position:end]))
                run_start = end
            else:
                run_count += 1
            position = end
        if run_count:
            events.append(Run(data[run_start:position], run_count))
        return position

    def _read_chunk(self, data: bytes, position: int, events: list[FrameEvent]) -> int:
        chunk = data[position : position + self._chunk_bytes]
        self._chunk_bytes -= len(chunk)
        events.append(FrameChunk(chunk, not self._chunk_bytes))
        return position + len(chunk)

    def _finish_tail(self, data: bytes, events: list[FrameEvent]) -> int:
        """Complete what the last call left with the first bytes of this one; return how many it took."""
        position = self._fill_tail(data, 0, HEADER_BYTES)
        if len(self._tail) < HEADER_BYTES:
            return position
        message_type, length = _unpack(self._tail)
        self._check(message_type, length)
        if length > self._whole[message_type]:
            header = bytes(self._tail)
            self._tail.clear()
            self._start_stream(message_type, header, events)
            return position
        position = self._fill_tail(data, position, length + 1)
        if len(self._tail) == length + 1:
            raw = bytes(self._tail)
            self._tail.clear()
            events.append(Frame(message_type, raw) if self._is_seen[message_type] else Run(raw, 1))
        return position

    def _fill_tail(self, data: bytes, position: int, target: int) -> int:
        missing = max(target - len(self._tail), 0)
        self._tail += data[position : position + missing]
        return min(position + missing, len(data))

    def _start_stream(self, message_type: int, header: bytes, events: list[FrameEvent]) -> None:
        _, length = _unpack(header)
        self._chunk_bytes = length - LENGTH_BYTES
        events.append(FrameStart(message_type, header, self._chunk_bytes))

    def _check(self, message_type: int, length: int) -> None:
        limit = self._limits[message_type]
        if not limit:
            raise ProtocolViolation("invalid message type", message_type=message_type, is_fatal=True)
        if not LENGTH_BYTES <= length <= limit:
            reason = f"invalid message length {length}, expected {LENGTH_BYTES} to {limit}"
            raise ProtocolViolation(reason, message_type=message_type, is_fatal=True)


def frontend_reader(
    *,
    max_whole_bytes: int = MAX_WHOLE_BYTES,
    whole_bytes: Mapping[int, int] | None = None,
    merged: Iterable[int] = (),
) -> FrameReader:
    """Return a reader of what a client sends."""
    return FrameReader(FRONTEND_LIMITS, max_whole_bytes=max_whole_bytes, whole_bytes=whole_bytes, merged=merged)


def backend_reader(
    *,
    max_whole_bytes: int = MAX_WHOLE_BYTES,
    whole_bytes: Mapping[int, int] | None = None,
    merged: Iterable[int] = (),
) -> FrameReader:
    """Return a reader of what a server sends."""
    return FrameReader(BACKEND_LIMITS, max_whole_bytes=max_whole_bytes, whole_bytes=whole_bytes, merged=merged)
