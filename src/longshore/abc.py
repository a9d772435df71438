"""Protocols at the seams: what ``sockets`` needs from the network and nobody may assume more of.

A ``ByteStream`` is *readiness pushed, bytes pulled*: ``try_*`` calls never block and never wait, and the
stream tells its owner, by a plain synchronous call, when trying again makes sense. Nothing is a
coroutine here, so there is nothing to cancel half-way (rule K13), and no byte is read from the kernel
before somebody asks (rule K12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from longshore.core.addresses import SocketAddress
    from longshore.core.info import SocketInfo
    from longshore.core.tls_options import TlsRequest

__all__ = ["ByteStream", "Connection", "DialRequest", "Dialer", "Resolver", "StreamOwner"]


class StreamOwner(Protocol):
    """Whoever reads and writes a ``ByteStream``; called by it from the event loop, never from a task."""

    def on_readable(self) -> None:
        """Try to read: bytes, end-of-file or an error may be there. Also called for a FIN nobody asked for."""

    def on_writable(self) -> None:
        """``try_write`` will accept bytes again or raise; called only after it accepted too few."""

    def on_broken(self, error: Exception) -> None:
        """The connection failed while nobody was reading (a RST behind unread bytes)."""


@runtime_checkable
class ByteStream(Protocol):
    """A connected duplex stream. All calls are synchronous; errors are ``SocketError`` subclasses."""

    def set_owner(self, owner: StreamOwner | None) -> None:
        """Say who hears of readiness; None to be told nothing. Replaces the former owner."""

    def try_read(self, max_bytes: int) -> bytes | None:
        """Return 1..max_bytes bytes, ``b""`` at end-of-file, or None when there is nothing yet.

        Raises:
            ResetError, TlsError: the connection did not end cleanly (rule K5); raised again every time.
        """

    def try_read_into(self, buffer: memoryview) -> int | None:
        """Fill the front of ``buffer``; the count, 0 at end-of-file, None when there is nothing yet."""

    def peek(self) -> bool | None:
        """Look without taking: True bytes are there, False end-of-file, None nothing yet; raises like a read."""

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        """Accept the front of ``data`` and return how much; fewer than all means: wait for ``on_writable``."""

    def flush(self) -> bool:
        """Push what the stream itself still holds (TLS records); True when nothing is held any more."""

    def try_write_eof(self, *, closing: bool = False) -> bool:
        """End the write direction (FIN; close_notify under TLS); False: call again after ``on_writable``.

        Args:
            closing: ``close()`` follows as soon as this returns True, so that an end that ``close()`` sends
                anyway may be left to it.
        """

    def close(self) -> None:
        """Release the connection; what the kernel accepted is still delivered. Idempotent, never raises."""

    def abort(self) -> None:
        """Release the connection and reset it (RST). Idempotent, never raises."""

    def fileno(self) -> int:
        """The descriptor underneath, or -1 when there is none or it is closed."""


class Connection:
    """What a dialer hands over: the stream and what is known about it.

    Args:
        stream: connected; the receiver owns it.
        info: the facts, or a function that puts them together when somebody asks.
    """

    __slots__ = ("_info", "_make_info", "stream")

    def __init__(self, stream: ByteStream, info: SocketInfo | Callable[[], SocketInfo]) -> None:
        self.stream = stream
        self._info: SocketInfo | None = None
        self._make_info = info

    @property
    def info(self) -> SocketInfo:
        """What is known about the connection."""
        return self.get_info()

    def get_info(self) -> SocketInfo:
        """Return ``info``; for whoever needs a function."""
        if self._info is None:
            self._info = self._make_info() if callable(self._make_info) else self._make_info
        return self._info


@dataclass(frozen=True, slots=True)
class DialRequest:
    """One connection to make."""

    address: SocketAddress
    tls: TlsRequest | None = None
    """The handshake to make before the connection counts as open; None for a plain connection."""
    timeout_s: float | None = None
    """Bound on name, TCP and TLS together, in seconds; None for no bound."""
    no_delay: bool = True
    keep_alive_s: float | None = None
    """Idle seconds before the first TCP keep-alive probe; None for no probes."""
    local_address: tuple[str, int] | None = None
    """IP literal and port to bind before connecting; port 0 for any."""
    binding: str | None = None
    """Name of the binding whose credentials the host is to use; only a dialer that asks a host knows bindings."""


class Dialer(Protocol):
    """Opens outbound connections: directly in a plain program, through the host in a sandbox."""

    async def dial(self, request: DialRequest) -> Connection:
        """Connect, and make the TLS handshake when the request asks for one.

        Raises:
            ResolveError, ConnectError, ConnectTimeout, PolicyDenied, TlsError, ResetError.

        Cancellation: safe; every descriptor opened so far is closed.
        """

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make a client handshake on an open connection and return the connection above it.

        The caller has given the old stream up. Bytes that arrived before the handshake fail it.

        Raises:
            TlsError, ResetError, ConnectTimeout.

        Cancellation: closes the connection.
        """


class Resolver(Protocol):
    """Turns a host name into addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[IPv4Address | IPv6Address]:
        """Return the addresses of ``host`` in the order of preference (RFC 6724), never empty.

        Raises:
            ResolveError: the name does not exist or has no address.

        Cancellation: safe.
        """
