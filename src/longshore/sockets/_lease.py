"""Notices that nobody refers to a socket any more."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from longshore.sockets._channel import Channel

__all__ = ["Lease"]


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
        self.channel.abandon(partial(_warn, str(self.channel.address), self._path, self._line))


def _warn(address: str, path: str, line: int) -> None:
    message = f"a socket to {address} was never closed; it was opened at {path}:{line}"
    warnings.warn_explicit(message, ResourceWarning, path, line)
