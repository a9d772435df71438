"""The log that never blocks who writes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from longshore.cli import log_writer
from longshore.cli.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the end to read and the end to write."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def told(count: int) -> str:
    return f"{count} dropped"


def test_lines_come_out_in_order_and_before_the_end(pipe: tuple[int, int]) -> None:
    with LogWriter(pipe[1], told) as writer:
        for number in range(100):
            assert writer.write(f"{number}\n") > 0
    lines = os.read(pipe[0], 65536).decode().splitlines()
    assert lines == [str(number) for number in range(100)]


def test_what_nobody_reads_is_dropped_above_the_limit_and_counted(pipe: tuple[int, int]) -> None:
    piece = "x" * 999 + "\n"
    with LogWriter(pipe[1], told, max_waiting_bytes=100_000) as writer:
        for _ in range(1000):  # a megabyte; pipe and limit hold less than a fifth
            writer.write(piece)
        received = b""
        while b"dropped" not in received:
            received += os.read(pipe[0], 65536)
    dropped = int(received.decode().split()[-2])
    assert received.count(piece.encode()) + dropped == 1000


def test_the_end_does_not_wait_for_ever(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "LAST_LINES_S", 0.01)
    with LogWriter(pipe[1], told) as writer:
        writer.write("x" * 1_000_000)
    assert writer._thread.is_alive()
    left = 1_000_000
    while left:  # so that no thread is left
        left -= len(os.read(pipe[0], 65536))
    writer._thread.join()


def test_text_that_is_no_unicode(pipe: tuple[int, int]) -> None:
    with LogWriter(pipe[1], told) as writer:
        writer.write("\udc80\n")
    assert os.read(pipe[0], 100) == b"\\udc80\n"
