"""``ChannelReporter``: the ``Reporter`` of a worker process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from longshore.proto.ipc.frames import FrameError
from longshore.proto.ipc.messages import (
    ConnectionClosed,
    ConnectionOpened,
    HandlerFailed,
    LogLine,
    RequestFinished,
    ScheduledFinished,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from longshore.net.channel import Channel
    from longshore.proto.ipc.messages import WorkerMessage

__all__ = ["ChannelReporter"]

# What only tells something; without the rest the host would not know how the worker is.
_DROPPED = (RequestFinished, ConnectionOpened, ConnectionClosed, HandlerFailed, ScheduledFinished, LogLine)
# A host that is stopped must not cost the worker its memory.
_MOST_UNSENT_BYTES = 1 << 20


class ChannelReporter:
    """Sends messages to the host, from any thread.

    Args:
        channel: the control channel.
        loop: the loop it belongs to, run by the thread that makes this object.
    """

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._dropped = 0

    @property
    def is_open(self) -> bool:
        """False when nobody hears what is sent any more."""
        return not self._channel.is_closed

    def send(self, message: WorkerMessage) -> None:
        """Pass ``message`` on; never blocks, never raises."""
        if threading.get_ident() == self._thread_id:
            self.send_with(message)
            return
        try:
            self._loop.call_soon_threadsafe(self.send_with, message)
        except RuntimeError:  # the loop is closed: the process ends
            pass

    def _has_room(self) -> bool:
        """Say whether a message may wait for the host; one that may not is counted, and told of later."""
        if self._channel.unsent_bytes > _MOST_UNSENT_BYTES:
            self._dropped += 1
            return False
        if self._dropped:
            text = f"{self._dropped} lines and events of this worker are lost: the host did not read"
            self._dropped = 0
            self._channel.send(LogLine(level="warning", text=text, logger="longshore"))
        return True

    def send_at_once(self, message: WorkerMessage) -> None:
        """Pass ``message`` on from another thread though the loop may be blocked. Never raises."""
        try:
            self._channel.send_at_once(message)
        except FrameError:  # too long
            pass

    def send_with(self, message: WorkerMessage, fds: Sequence[int] = ()) -> None:
        """Pass ``message`` on with duplicates of ``fds``; only in the thread of the loop. Never raises."""
        if isinstance(message, _DROPPED) and not self._has_room():
            return
        try:
            self._channel.send(message, fds)
        except (FrameError, OSError):  # too long for a frame, or no descriptor is free: there is nobody to tell
            pass
