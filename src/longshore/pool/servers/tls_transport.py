"""TLS between a transport and a protocol (shell over ``ssl.MemoryBIO``).

Not the event loop's ``start_tls``: what was read before the handshake (the ClientHello of direct TLS) can be handed
in, any transport below will do, and whoever is above asks for certificates through ``get_extra_info``. What is above
sees a transport like the one below.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TlsTransport"]

_READ_BYTES = 64 * 1024


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """The transport of what is above, and the protocol of the transport below.

    Args:
        below: carries the records; this becomes its protocol.
        protocol: what is above; hears nothing before the handshake is over, except ``connection_lost``.
        context: certificates and trust.
        is_server: which side we are.
        server_name: whom a client wants, None: nobody in particular.
        on_established: called when the handshake is over.
        on_failed: called with the reason when there is none, before the connection is aborted.
    """

    def __init__(
        self,
        below: asyncio.Transport,
        protocol: asyncio.BaseProtocol,
        context: ssl.SSLContext,
        *,
        is_server: bool,
        server_name: str | None = None,
        on_established: Callable[[TlsTransport], None],
        on_failed: Callable[[ssl.SSLError], None],
    ) -> None:
        super().__init__()
        self._below = below
        self._protocol = protocol
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server, server_hostname=server_name)
        self._on_established = on_established
        self._on_failed = on_failed
        self._is_established = False
        self._is_closing = False
        self._is_paused = False
        self._error: ssl.SSLError | None = None

    def start(self, data: bytes = b"") -> None:
        """Begin the handshake; ``data`` was read from the transport below already."""
        self._below.set_protocol(self)
        if data:
            self._incoming.write(data)
        self._advance()

    # -- asyncio.Protocol: what the transport below says -----------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take records."""
        self._incoming.write(data)
        self._advance()

    def eof_received(self) -> bool:
        """Close: without close_notify nobody knows whether the end was cut off; no protocol of ours needs to know."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell what is above."""
        self._is_closing = True
        self._protocol.connection_lost(exc or self._error)

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._is_established:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._is_established:
            self._protocol.resume_writing()

    def _advance(self) -> None:
        """Go on with whatever is due."""
        try:
            if not self._is_established:
                self._tls.do_handshake()
                self._is_established = True
                self._flush()
                self._on_established(self)
            self._read()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as exc:
            self._fail(exc)

    def _read(self) -> None:
        """Give what is above everything that is decrypted."""
        while not (self._is_paused or self._is_closing):
            data = self._tls.read(_READ_BYTES)
            if self._outgoing.pending:  # the answer to a KeyUpdate
                self._flush()
            if not data:
                self.close()
                return
            self._protocol.data_received(data)  # type: ignore[attr-defined]  # a Protocol, not a BufferedProtocol

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.write(self._outgoing.read())

    def _fail(self, exc: ssl.SSLError) -> None:
        """End: the last record may be an alert that says why."""
        if self._is_closing:
            return
        self._is_closing = True
        self._error = exc
        self._flush()
        if not self._is_established:
            self._on_failed(exc)
        self._below.close()

    # -- asyncio.Transport: what is above says ---------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Speak to another one from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return what is above."""
        return self._protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._is_closing or not data:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as exc:
            self._fail(exc)
            return
        self._flush()

    def close(self) -> None:
        """Say good-bye, and close when everything is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._is_established:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass  # the peer's close_notify is not waited for
        self._flush()
        self._below.close()

    def abort(self) -> None:
        """End without a word."""
        self._is_closing = True
        self._below.abort()

    def is_closing(self) -> bool:
        """Return whether nothing can be sent any more."""
        return self._is_closing or self._below.is_closing()

    def pause_reading(self) -> None:
        """Take nothing more from the peer; at most what one read of the transport below gave is kept."""
        self._is_paused = True
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Go on, soon: whoever calls this may be in the middle of something."""
        if self._is_paused:
            self._is_paused = False
            self._below.resume_reading()
            asyncio.get_running_loop().call_soon(self._advance)

    def is_reading(self) -> bool:
        """Return whether data may come."""
        return not (self._is_paused or self._is_closing)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known about the connection; ``ssl_object`` and ``peercert`` are of this layer."""
        if name == "ssl_object":
            return self._tls
        if name == "peercert":
            return self._tls.getpeercert()
        return self._below.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait below."""
        return self._below.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when what is above is told to pause."""
        return self._below.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when what is above is told to pause."""
        self._below.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """Return False: TLS ends in both directions at once."""
        return False
