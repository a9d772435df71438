"""Writes a log from a thread of its own: whoever does not read it must not stop the host.

A pipe that is full, or a terminal that was halted with Ctrl-S, blocks who writes to it. In the host's event loop that
would be signals, deadlines and the workers' messages. So lines wait here, up to a limit; above it they are dropped, and
how many is said as soon as somebody reads on.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Self

from longshore.cli.console import silence_output

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["MAX_WAITING_BYTES", "LogWriter"]

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Some twenty thousand lines: a pause of the reader is no reason to lose one."""

LAST_LINES_S = 2.0
"""How long the end waits for a reader."""


class LogWriter:
    """Something to write text to, as a stream; ``write()`` never blocks.

    Args:
        fd: where to.
        tell_dropped: returns the line that says how many were dropped.
        max_waiting_bytes: how much may wait.
    """

    def __init__(self, fd: int, tell_dropped: Callable[[int], str], max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._fd = fd
        self._tell_dropped = tell_dropped
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._is_closed = False
        self._changed = threading.Condition()
        # A daemon: one that is blocked for good must not keep the process.
        self._thread = threading.Thread(target=self._run, name="longshore log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is left to be written, but not for ever."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(LAST_LINES_S)

    def write(self, text: str) -> int:
        """Take lines; return their number of characters."""
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self._waiting_bytes + len(data) > self._max_waiting_bytes:
                self._dropped += text.count("\n")
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
                self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                # Whoever read the log is gone, which is no reason to stop serving.
                silence_output()

    def _next(self) -> bytes | None:
        """Wait for something to write; None at the end."""
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if not self._waiting:
                return None
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            if self._dropped:
                data += f"{self._tell_dropped(self._dropped)}\n".encode()
                self._dropped = 0
            return data
