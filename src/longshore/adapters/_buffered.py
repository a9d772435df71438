"""Bytes into an ``asyncio.BufferedProtocol``, whose buffer may be smaller than what has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["feed"]


def feed(protocol: asyncio.BufferedProtocol, data: bytes, is_wanted: Callable[[], bool]) -> None:
    """Give ``data`` to ``protocol`` in pieces, while ``is_wanted()``.

    The bytes are copied: only once a read has brought some is it known that the protocol still wants them.

    Raises:
        RuntimeError: the protocol has no room.
    """
    left = memoryview(data)
    while left and is_wanted():
        buffer = memoryview(protocol.get_buffer(len(left))).cast("B")
        if not buffer:
            raise RuntimeError("get_buffer() returned an empty buffer")
        count = min(len(buffer), len(left))
        buffer[:count] = left[:count]
        left = left[count:]
        protocol.buffer_updated(count)
