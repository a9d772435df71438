"""A transport and a protocol that stand between an event loop and a driver, and only count.

What the driver sees stays what it was: every call of its transport is passed on, and so is every event for its
protocol, which may be replaced (``set_protocol``) and may bring its own buffers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.recorder import describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.runtime.worker.recorder import Recording

__all__ = ["RecordedProtocol", "RecordedTransport", "make_relay", "shown_address", "unwrapped"]


class RecordedTransport(asyncio.Transport):
    """A transport that counts what is written; everything else is the inner one's.

    Args:
        inner: the loop's own transport.
        relay: its protocol.
    """

    def __init__(self, inner: Any, relay: RecordedProtocol) -> None:
        self._inner = inner
        self._relay = relay

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the inner transport knows."""
        return self._inner.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Return whether it is closing or closed."""
        return bool(self._inner.is_closing())

    def close(self) -> None:
        """Close after what was written."""
        self._relay.is_closed_here = True
        self._inner.close()

    def abort(self) -> None:
        """Close at once."""
        self._relay.is_closed_here = True
        self._inner.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the connection to another protocol."""
        relay = make_relay(protocol, self._relay.recording, transport=self)
        relay.is_closed_here = self._relay.is_closed_here
        self._relay = relay
        self._inner.set_protocol(relay)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the driver's protocol."""
        protocol: asyncio.BaseProtocol = self._relay.protocol
        return protocol

    def is_reading(self) -> bool:
        """Return whether bytes are being received."""
        return bool(self._inner.is_reading())

    def pause_reading(self) -> None:
        """Receive nothing for now."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._inner.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when writing is paused."""
        self._inner.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how much waits to be written."""
        return int(self._inner.get_write_buffer_size())

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when writing is paused."""
        limits: tuple[int, int] = self._inner.get_write_buffer_limits()
        return limits

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write."""
        self._inner.write(data)
        self._relay.recording.sent += memoryview(data).nbytes

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write several pieces."""
        pieces = list(list_of_data)
        self._inner.writelines(pieces)
        self._relay.recording.sent += sum(memoryview(piece).nbytes for piece in pieces)

    def write_eof(self) -> None:
        """End the write direction."""
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        """Return whether that is possible."""
        return bool(self._inner.can_write_eof())

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def inner(self) -> Any:
        """The loop's own transport."""
        return self._inner

    @property
    def recording(self) -> Recording:
        """Where it is counted."""
        return self._relay.recording


class RecordedProtocol(asyncio.Protocol):
    """Passes events to the driver's protocol, counts what comes, and notices the end.

    Args:
        protocol: the driver's.
        recording: is told.
        transport: what the driver has; made when the loop says that the connection is up.
    """

    def __init__(self, protocol: Any, recording: Recording, transport: RecordedTransport | None = None) -> None:
        self.protocol = protocol
        self.recording = recording
        self.transport = transport
        self.is_closed_here = False
        self._is_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the driver a transport that counts."""
        self.recording.opened(shown_address(transport.get_extra_info("peername")))
        self.transport = RecordedTransport(transport, self)
        self.protocol.connection_made(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end."""
        try:
            self.protocol.connection_lost(exc)
        finally:
            self.recording.ended(self._how(exc))

    def pause_writing(self) -> None:
        """Pass on."""
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self.protocol.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Count and pass on."""
        self.recording.received += len(data)
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Note and pass on."""
        self._is_ended = not self.is_closed_here  # TLS ends with the peer's answer to our end
        answer: bool | None = self.protocol.eof_received()
        return answer

    def _how(self, exc: Exception | None) -> str:
        if exc is not None:
            return "reset" if isinstance(exc, ConnectionError) else describe(exc)
        if self._is_ended:
            return "end of file"
        return "closed" if self.is_closed_here else "end of file"


class RecordedBufferedProtocol(RecordedProtocol, asyncio.BufferedProtocol):
    """The same for a driver that brings its own buffers."""

    def get_buffer(self, sizehint: int) -> Any:
        """Pass on."""
        return self.protocol.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        """Count and pass on."""
        self.recording.received += nbytes
        self.protocol.buffer_updated(nbytes)


def make_relay(protocol: Any, recording: Recording, transport: RecordedTransport | None = None) -> RecordedProtocol:
    """Return what stands between a loop and ``protocol``."""
    kind = RecordedBufferedProtocol if isinstance(protocol, asyncio.BufferedProtocol) else RecordedProtocol
    return kind(protocol, recording, transport)


def unwrapped(transport: Any) -> Any:
    """Return the loop's own transport."""
    return transport.inner if isinstance(transport, RecordedTransport) else transport


def shown_address(address: Any) -> str:
    """Return a socket address as ``host:port``, or the path of a Unix socket."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address or "")
