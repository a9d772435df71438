"""Notices that nobody refers to a socket any more."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from longshore.sockets._channel import Channel

__all__ = ["Lease"]

# How often a socket that only a pending call refers to is looked at.
ORPHAN_CHECK_S = 0.05


class Lease:
    """Held by every public object of one socket; when the last is gone, so is the connection.

    It exists because the event loop itself keeps the channel alive: without it a forgotten socket would stay
    connected for as long as the peer likes.
    """

    __slots__ = ("_line", "_path", "channel")

    def __init__(self, channel: Channel, opener: FrameType | None) -> None:
        self.channel = channel
        self._path = opener.f_code.co_filename if opener is not None else "<unknown>"
        self._line = opener.f_lineno if opener is not None else 0

    def __del__(self) -> None:
        channel = self.channel
        if channel.lifecycle.is_finished and channel.stream is None:
            return
        warn = partial(_warn, str(channel.address), self._path, self._line)
        if not channel.loop.is_closed():
            # The garbage collector calls in any thread and at any time.
            channel.loop.call_soon_threadsafe(_reap, channel, warn)
            return
        if channel.stream is not None:
            channel.stream.abort()
        if not channel.lifecycle.is_finished:
            warn()


def _reap(channel: Channel, warn: Callable[[], None]) -> None:
    if channel.lifecycle.is_finished:
        channel.release_unread()
    elif channel.is_awaited:
        # ``await connect(address).opened``: nobody has the socket, but somebody waits for its answer.
        channel.loop.call_later(ORPHAN_CHECK_S, _reap, channel, warn)
    elif not channel.is_closing:
        channel.abort("nobody refers to it any more")
        warn()


def _warn(address: str, path: str, line: int) -> None:
    message = f"a socket to {address} was never closed; it was opened at {path}:{line}"
    warnings.warn_explicit(message, ResourceWarning, path, line)
