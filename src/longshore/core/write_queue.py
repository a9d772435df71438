"""Bytes that wait to be sent, in order and without being copied twice (PURE)."""

from __future__ import annotations

from collections import deque

__all__ = ["WriteQueue"]

# Small chunks that wait together are sent together: one segment, one TLS record, one system call.
COALESCE_BYTES = 64 * 1024


class WriteQueue:
    """First in, first out; knows how many bytes it holds."""

    __slots__ = ("_chunks", "size_bytes")

    def __init__(self) -> None:
        # Made when first needed: an empty deque takes more memory than all else of an idle socket's write side.
        self._chunks: deque[bytes | memoryview] | None = None
        self.size_bytes = 0

    def append(self, data: bytes | bytearray | memoryview, start: int = 0) -> None:
        """Take ``data[start:]``; memory that the caller may change is copied."""
        view = memoryview(data)[start:]
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(view if isinstance(data, bytes) else bytes(view))
        self.size_bytes += len(view)

    def front(self) -> bytes | memoryview:
        """Return the bytes to send next, small chunks joined; the queue must not be empty."""
        chunks = self._chunks
        assert chunks is not None
        if len(chunks) > 1 and len(chunks[0]) < COALESCE_BYTES:
            _coalesce(chunks)
        return chunks[0]

    def consume(self, count_bytes: int) -> None:
        """Forget the first ``count_bytes`` bytes, all of them in the chunk that ``front()`` returned."""
        assert self._chunks is not None
        self.size_bytes -= count_bytes
        head = self._chunks.popleft()
        if count_bytes < len(head):
            self._chunks.appendleft(memoryview(head)[count_bytes:])

    def clear(self) -> None:
        """Forget everything."""
        self._chunks = None
        self.size_bytes = 0


def _coalesce(chunks: deque[bytes | memoryview]) -> None:
    parts: list[bytes | memoryview] = []
    total = 0
    while chunks and total < COALESCE_BYTES:
        part = chunks.popleft()
        parts.append(part)
        total += len(part)
    chunks.appendleft(b"".join(parts))
