"""``Flow``: bytes from one ``ByteStream`` to another, without a task and with back-pressure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.abc import ByteStream

__all__ = ["Flow", "SinkFailed"]

# A whole batch of TLS records; larger would leave the processor's cache between reading and writing.
_PIECE_BYTES: Final = 128 * 1024
# So many pieces in a row; then others in the loop have their turn. A fast source and a fast sink would never end.
_PIECES_AT_A_TIME: Final = 8
# One for all flows: what is in it is written, or copied, before ``run()`` returns.
_buffer: Final = memoryview(bytearray(_PIECE_BYTES))


class SinkFailed(Exception):
    """The stream that was written to is broken; ``__cause__`` is its ``SocketError``."""


class Flow:
    """One direction of a tunnel; holds at most one piece that the sink has not taken.

    Args:
        source: read from.
        sink: written to.
        go_on: calls ``run()``, and does what its result asks for; called when it is this flow's turn again.
    """

    __slots__ = ("_go_on", "_is_turn_due", "_loop", "_rest", "_sink", "_source", "is_ended")

    def __init__(self, source: ByteStream, sink: ByteStream, go_on: Callable[[], None]) -> None:
        self._source = source
        self._sink = sink
        self._go_on = go_on
        self._loop = asyncio.get_running_loop()
        self._is_turn_due = False
        self._rest = memoryview(b"")
        self.is_ended = False
        """True once the source's end was read and everything before it was written."""

    def run(self) -> bool:
        """Carry what can be carried now; True when that was the last.

        To be called again when the source is readable, and when the sink is writable.

        Raises:
            SinkFailed: what was read and not written is lost.
            SocketError: reading failed; everything before that was written.
        """
        pieces = 0
        while not self.is_ended and self._write_rest():
            if pieces == _PIECES_AT_A_TIME:
                self._ask_for_turn()
                return False
            pieces += 1
            count = self._source.try_read_into(_buffer)
            if count is None:
                return False
            self.is_ended = count == 0
            if count:
                written = self._write(_buffer[:count])
                if written < count:
                    self._rest = memoryview(bytes(_buffer[written:count]))
        return self.is_ended

    def _ask_for_turn(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._is_turn_due = False
        self._go_on()

    def _write_rest(self) -> bool:
        if self._rest:
            self._rest = self._rest[self._write(self._rest) :]
        return not self._rest

    def _write(self, data: memoryview) -> int:
        try:
            return self._sink.try_write(data)
        except Exception as exc:
            raise SinkFailed from exc
