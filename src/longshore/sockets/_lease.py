"""Notices that nobody refers to a socket any more."""

from __future__ import annotations

import warnings
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
        if self.channel.abandon():
            warnings.warn(
                f"a socket to {self.channel.address} was never closed; it was opened at {self._path}:{self._line}",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )
