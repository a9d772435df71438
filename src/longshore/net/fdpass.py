"""Frames and descriptors over an ``AF_UNIX`` stream socket, without waiting: shared by both kinds of channel.

The kernel delivers the descriptors of one ``sendmsg`` together with its first byte and lets no ``recvmsg`` pass
such a border, so descriptors arrive with their frame or before the rest of it, always in order.

Rules that must not be broken:

1. A descriptor has one owner at any time: what is queued here is a duplicate of the sender's, and what was received
   and is not taken is closed by ``Inbox.close()``.
2. Received descriptors are close-on-exec from the moment they exist.
"""

from __future__ import annotations

import array
import os
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING

from longshore.proto.ipc.frames import MAX_FRAME_BYTES, FrameError, FrameReader, make_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from longshore.proto.ipc.messages import Message

__all__ = ["MAX_DESCRIPTORS", "Inbox", "Outbox", "Received", "close_all"]

MAX_DESCRIPTORS = 253
"""``SCM_MAX_FD`` of Linux: no message carries more."""

_INT_BYTES = array.array("i").itemsize
_RECEIVE_BYTES = 64 * 1024
_ANCILLARY_BYTES = socket.CMSG_SPACE(MAX_DESCRIPTORS * _INT_BYTES)
# Without this flag (macOS) the descriptors are marked right after they arrive.
_RECEIVE_FLAGS = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
# As plain numbers: an operation on an enumeration takes longer than the system call before it.
_TRUNCATED = int(socket.MSG_CTRUNC)
# Small messages are put together up to this size, so that a busy worker makes one system call and not hundreds.
_BATCH_BYTES = 64 * 1024

Received = tuple["Message", list[int]]


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors; one that is no descriptor any more is passed over."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


class Outbox:
    """Frames that wait to be sent."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[bytearray, list[int]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._chunks)

    @property
    def size_bytes(self) -> int:
        """How much waits."""
        return sum(len(chunk) for chunk, _ in self._chunks)

    def put(self, message: Message, fds: Sequence[int]) -> None:
        """Queue a message with duplicates of ``fds``.

        Raises:
            FrameError: it is too long.
            ValueError: there are more descriptors than one message can carry.
            OSError: one is not open, or the process has too many.
        """
        if len(fds) > MAX_DESCRIPTORS:
            raise ValueError(f"a message carries at most {MAX_DESCRIPTORS} descriptors, not {len(fds)}")
        frame = make_frame(message, len(fds))
        if fds:
            self._chunks.append((bytearray(frame), _duplicate(fds)))
            return
        if self._chunks:
            # Bytes may follow a frame with descriptors in its sendmsg; they must only not precede it.
            last, _ = self._chunks[-1]
            if len(last) + len(frame) <= _BATCH_BYTES:
                last += frame
                return
        self._chunks.append((bytearray(frame), []))

    def send_first(self, sock: socket.socket, message: Message, fds: Sequence[int]) -> bool:
        """Send a message at once, for there is none before it; True when it is gone, else its rest is queued.

        Raises:
            FrameError, ValueError, OSError: as for ``put`` and ``send_to``.
        """
        assert not self._chunks
        if len(fds) > MAX_DESCRIPTORS:
            raise ValueError(f"a message carries at most {MAX_DESCRIPTORS} descriptors, not {len(fds)}")
        frame = make_frame(message, len(fds))
        try:
            sent = sock.sendmsg([frame], _ancillary(fds))
        except (BlockingIOError, InterruptedError):
            self._chunks.append((bytearray(frame), _duplicate(fds)))
            return False
        if sent < len(frame):
            self._chunks.append((bytearray(frame[sent:]), []))
        return not self._chunks

    def send_to(self, sock: socket.socket) -> bool:
        """Send what the socket takes; True when nothing is left.

        Raises:
            OSError: the channel is broken.
        """
        while self._chunks:
            chunk, fds = self._chunks[0]
            try:
                sent = sock.sendmsg([chunk], _ancillary(fds))
            except (BlockingIOError, InterruptedError):
                return False
            close_all(fds)  # they travelled with the first byte
            fds.clear()
            if sent == len(chunk):
                self._chunks.popleft()
            else:
                del chunk[:sent]
        return True

    def close(self) -> None:
        """Forget everything."""
        for _, fds in self._chunks:
            close_all(fds)
        self._chunks.clear()


class Inbox:
    """Frames that have arrived and nobody has taken.

    Args:
        max_frame_bytes: what a peer that is not trusted may make us hold.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._reader = FrameReader(max_frame_bytes)
        self._fds: deque[int] = deque()
        self._received: deque[Received] = deque()

    def __len__(self) -> int:
        return len(self._received)

    def take(self) -> Received:
        """Return the oldest message; its descriptors belong to the caller."""
        return self._received.popleft()

    def receive_from(self, sock: socket.socket) -> bool:
        """Read once; False at a clean end-of-file.

        Raises:
            BlockingIOError: there is nothing.
            FrameError: the bytes are no frames, or end within one.
            OSError: the channel is broken.
        """
        try:
            data, ancillary, flags, _ = sock.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES, _RECEIVE_FLAGS)
        except ConnectionResetError:
            # On a local socket it says only that the peer ended without reading everything: an end like another.
            data, ancillary, flags = b"", [], 0
        self._fds.extend(_descriptors(ancillary))
        if flags & _TRUNCATED:
            raise FrameError("descriptors were lost on the way: this process has too many open files")
        if not data:
            self._check_end()
            return False
        for frame in self._reader.receive_data(data):
            if frame.descriptors > len(self._fds):
                raise FrameError(f"frame with {frame.descriptors} descriptors announced, {len(self._fds)} came")
            self._received.append((frame.message, [self._fds.popleft() for _ in range(frame.descriptors)]))
        if len(self._fds) > MAX_DESCRIPTORS:
            # Those of the frame that is not complete; more would never be taken, and fill this process.
            raise FrameError(f"{len(self._fds)} descriptors came that no frame announces")
        return True

    def close(self) -> None:
        """Close the descriptors that nobody took."""
        for _, fds in self._received:
            close_all(fds)
        close_all(self._fds)
        self._received.clear()
        self._fds.clear()

    def _check_end(self) -> None:
        if not self._reader.is_empty or self._fds:
            raise FrameError("the channel ended in the middle of a frame")


def _duplicate(fds: Sequence[int]) -> list[int]:
    duplicates: list[int] = []
    try:
        for fd in fds:
            duplicates.append(os.dup(fd))  # noqa: PERF401 - those made so far are closed when one fails
    except BaseException:
        close_all(duplicates)
        raise
    return duplicates


def _ancillary(fds: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % _INT_BYTES])
    if sys.platform == "darwin":
        for fd in fds:
            os.set_inheritable(fd, False)
    return fds.tolist()
