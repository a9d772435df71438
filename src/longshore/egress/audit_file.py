"""``AuditFile``: lines appended to a file by a thread of its own, so that a slow disk holds up no connection (shell).

Before each write the thread looks whether the file is still the one at its path: after a log rotation it opens the new
one. Lines that cannot be written (ENOSPC) are lost and counted; that is said once when it begins and once when it ends.
What was written half stays half until there is room for its rest: a line is never torn by another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from queue import SimpleQueue
from typing import Final

__all__ = ["AuditFile"]

_logger = logging.getLogger(__name__)

# Some 40,000 records: a disk that hangs for long costs records, not memory without end.
_MOST_WAITING_BYTES: Final = 16 << 20


class AuditFile:
    """A file for lines; only its owner may read it.

    Args:
        path: absolute; made when it is not there.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = _open(path)
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()  # of the count of waiting bytes
        self._lost_bytes = 0
        self._rest = b""
        self._has_failed = False
        self._must_reopen = False
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    def write(self, lines: bytes) -> None:
        """Queue whole lines. Never blocks, never raises."""
        with self._lock:
            is_full = self._waiting_bytes + len(lines) > _MOST_WAITING_BYTES
            if not is_full:
                self._waiting_bytes += len(lines)
        if is_full:
            self._lost_bytes += len(lines)
            self._complain("it is not written as fast as it grows")
        else:
            self._queue.put(lines)

    def reopen(self) -> None:
        """Open the file at the path anew before the next line, whatever is there."""
        self._must_reopen = True

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, if that takes no longer than ``timeout_s``."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            with self._lock:
                self._waiting_bytes -= len(lines)
            try:
                self._follow_rotation()
                self._write_out(lines)
            except OSError as exc:
                self._lost_bytes += len(lines)
                self._complain(exc.strerror or str(exc))
            else:
                self._recover()
        os.close(self._fd)

    def _follow_rotation(self) -> None:
        if not self._must_reopen and _is_at(self._fd, self._path):
            return
        new = _open(self._path)
        os.close(self._fd)
        self._fd, self._must_reopen, self._rest = new, False, b""

    def _write_out(self, lines: bytes) -> None:
        """Write everything, or (OSError) nothing of ``lines`` but a beginning whose line is finished later."""
        while self._rest:
            self._rest = self._rest[os.write(self._fd, self._rest) :]
        view = memoryview(lines)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError:
                done = len(lines) - len(view)
                if done and lines[done - 1 : done] != b"\n":
                    self._rest = lines[done : lines.index(b"\n", done) + 1]
                raise

    def _complain(self, why: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            _logger.warning("records of the audit log are lost: %s: %s", self._path, why)

    def _recover(self) -> None:
        if self._has_failed:
            self._has_failed = False
            _logger.warning(
                "the audit log is written again: %s; about %d bytes were lost", self._path, self._lost_bytes
            )
            self._lost_bytes = 0


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(fd: int, path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False
