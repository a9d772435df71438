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
        self._chunks: deque[bytes | memoryview] = deque()
        self.size_bytes = 0

    def append(self, data: bytes | bytearray | memoryview, start: int = 0) -> None:
        """Take ``data[start:]``; memory that the caller may change is copied."""
        view = memoryview(data)[start:]
        self._chunks.append(view if isinstance(data, bytes) else bytes(view))
        self.size_bytes += len(view)

    def front(self) -> bytes | memoryview:
        """Return the bytes to send next, small chunks joined; the queue must not be empty."""
        chunks = self._chunks
        if len(chunks) > 1 and len(chunks[0]) < COALESCE_BYTES:
            self._coalesce()
        return chunks[0]

    def consume(self, count_bytes: int) -> None:
        """Forget the first ``count_bytes`` bytes, all of them in the chunk that ``front()`` returned."""
        self.size_bytes -= count_bytes
        head = self._chunks.popleft()
        if count_bytes < len(head):
            self._chunks.appendleft(memoryview(head)[count_bytes:])

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self.size_bytes = 0

    def _coalesce(self) -> None:
        parts: list[bytes | memoryview] = []
        total = 0
        while self._chunks and total < COALESCE_BYTES:
            part = self._chunks.popleft()
            parts.append(part)
            total += len(part)
        self._chunks.appendleft(b"".join(parts))
