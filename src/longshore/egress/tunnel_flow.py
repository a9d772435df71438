"""``Flow``: bytes from one ``ByteStream`` to another, without a task and with back-pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.abc import ByteStream

__all__ = ["Flow", "SinkFailed"]

# A whole batch of TLS records; larger would leave the processor's cache between reading and writing.
_PIECE_BYTES: Final = 128 * 1024
# One for all flows: what is in it is written, or copied, before ``run()`` returns.
_buffer: Final = memoryview(bytearray(_PIECE_BYTES))


class SinkFailed(Exception):
    """The stream that was written to is broken; ``__cause__`` is its ``SocketError``."""


class Flow:
    """One direction of a tunnel; holds at most one piece that the sink has not taken.

    Args:
        source: read from.
        sink: written to.
    """

    __slots__ = ("_rest", "_sink", "_source", "is_ended")

    def __init__(self, source: ByteStream, sink: ByteStream) -> None:
        self._source = source
        self._sink = sink
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
        while not self.is_ended and self._write_rest():
            count = self._source.try_read_into(_buffer)
            if count is None:
                return False
            self.is_ended = count == 0
            if count:
                written = self._write(_buffer[:count])
                if written < count:
                    self._rest = memoryview(bytes(_buffer[written:count]))
        return self.is_ended

    def _write_rest(self) -> bool:
        if self._rest:
            self._rest = self._rest[self._write(self._rest) :]
        return not self._rest

    def _write(self, data: memoryview) -> int:
        try:
            return self._sink.try_write(data)
        except Exception as exc:
            raise SinkFailed from exc
