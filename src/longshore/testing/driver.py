"""The side of a test that plays the peer: what it must be able to do, and how any ``ByteStream`` does it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from longshore.abc import ByteStream

__all__ = ["StreamDriver", "StreamPeer"]

READ_BYTES = 64 * 1024


class StreamPeer(Protocol):
    """The far end of a checked stream."""

    async def send(self, data: bytes) -> None:
        """Send all of ``data``."""

    async def send_eof(self) -> None:
        """End the direction towards the checked stream in an orderly way."""

    async def receive(self) -> bytes:
        """Return at least one byte, ``b""`` at an orderly end; raise ``ConnectionError`` after a reset."""

    def close(self) -> None:
        """Release the connection. Idempotent."""

    def abort(self) -> None:
        """Reset the connection (RST). Idempotent."""


@final
class StreamDriver:
    """Owns a ``ByteStream`` and waits for its readiness, so that a test can write straight on.

    One task may receive and one may send at the same time.

    Args:
        stream: its owner becomes this object.
    """

    __slots__ = ("_event", "_stream")

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._event = asyncio.Event()
        stream.set_owner(self)

    @property
    def stream(self) -> ByteStream:
        """The stream that is driven."""
        return self._stream

    async def receive(self, max_bytes: int = READ_BYTES) -> bytes:
        """Return at least one byte, or ``b""`` at end-of-file.

        Raises:
            SocketError: as ``ByteStream.try_read`` does.

        Cancellation: safe; nothing is lost.
        """
        while (data := self._stream.try_read(max_bytes)) is None:
            await self._changed()
        return data

    async def receive_exactly(self, count: int) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            EOFError: the peer ended its direction before that many came.
            SocketError: as ``ByteStream.try_read`` does.

        Cancellation: loses what was received so far.
        """
        received = bytearray()
        while len(received) < count:
            data = await self.receive(count - len(received))
            if not data:
                raise EOFError(f"end-of-file after {len(received)} of {count} bytes")
            received += data
        return bytes(received)

    async def receive_all(self) -> bytes:
        """Return everything up to end-of-file.

        Raises:
            SocketError: as ``ByteStream.try_read`` does.

        Cancellation: loses what was received so far.
        """
        received = bytearray()
        while data := await self.receive():
            received += data
        return bytes(received)

    async def send(self, data: bytes) -> None:
        """Return when the stream has accepted all of ``data`` and holds nothing back itself.

        Raises:
            SocketError: as ``ByteStream.try_write`` does.

        Cancellation: a part of ``data`` may have been sent.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.try_write(rest) :]
            if rest:
                await self._changed()
        while not self._stream.flush():
            await self._changed()

    async def send_eof(self) -> None:
        """End the write direction.

        Raises:
            SocketError: as ``ByteStream.try_write_eof`` does.

        Cancellation: safe.
        """
        while not self._stream.try_write_eof():
            await self._changed()

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        self._event.set()

    def abort(self) -> None:
        """Reset the stream."""
        self._stream.abort()
        self._event.set()

    async def _changed(self) -> None:
        await self._event.wait()
        self._event.clear()

    # -- StreamOwner -----------------------------------------------------------------------------

    def on_readable(self) -> None:
        """Let ``receive`` try again."""
        self._event.set()

    def on_writable(self) -> None:
        """Let ``send`` try again."""
        self._event.set()

    def on_broken(self, error: Exception) -> None:
        """Let both try again: they meet the error."""
        self._event.set()
