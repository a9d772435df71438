"""Tests of ``longshore.core.write_queue``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.write_queue import COALESCE_BYTES, WriteQueue

CHUNKS = st.lists(st.binary(min_size=1, max_size=40) | st.integers(1, 3).map(lambda n: bytes([n]) * 30_000), max_size=6)


@given(CHUNKS, st.data())
def test_what_goes_in_comes_out_in_order_whatever_is_taken_at_a_time(chunks: list[bytes], data: st.DataObject) -> None:
    queue = WriteQueue()
    for chunk in chunks:
        queue.append(chunk)
    sent = bytearray()
    total = sum(map(len, chunks))
    while queue.size_bytes:
        assert queue.size_bytes == total - len(sent)
        front = bytes(queue.front())
        count = data.draw(st.integers(1, len(front)) | st.just(len(front)))
        queue.consume(count)
        sent += front[:count]
    assert bytes(sent) == b"".join(chunks)


def test_small_chunks_are_joined_up_to_the_limit() -> None:
    queue = WriteQueue()
    for _ in range(5):
        queue.append(b"x" * (COALESCE_BYTES // 2))
    assert len(queue.front()) == COALESCE_BYTES
    queue.consume(COALESCE_BYTES)
    assert len(queue.front()) == COALESCE_BYTES


def test_a_large_chunk_is_not_copied() -> None:
    queue = WriteQueue()
    large = bytes(COALESCE_BYTES)
    queue.append(large)
    queue.append(b"more")
    front = queue.front()
    assert isinstance(front, memoryview)
    assert front.obj is large


def test_a_single_small_chunk_is_handed_out_as_it_is() -> None:
    queue = WriteQueue()
    queue.append(b"hello")
    assert bytes(queue.front()) == b"hello"


@pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))])
def test_memory_that_may_change_is_copied(kind: type[bytearray]) -> None:
    data = kind(b"before")
    queue = WriteQueue()
    queue.append(data)
    data[:] = b"after!"
    assert bytes(queue.front()) == b"before"


def test_append_can_leave_the_front_out() -> None:
    queue = WriteQueue()
    queue.append(b"hello", 3)
    assert queue.size_bytes == 2
    assert bytes(queue.front()) == b"lo"


def test_a_cleared_queue_is_empty_and_usable() -> None:
    queue = WriteQueue()
    queue.append(b"hello")
    queue.clear()
    assert queue.size_bytes == 0
    queue.append(b"again")
    assert bytes(queue.front()) == b"again"
