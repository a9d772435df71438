"""What is known about an established connection (PURE value)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SocketInfo", "Timings"]


@dataclass(frozen=True, slots=True)
class Timings:
    """How long each phase of the connect took, in seconds; None where the phase did not happen."""

    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None


@dataclass(frozen=True, slots=True)
class SocketInfo:
    """Facts of a connection, the value of ``Socket.opened`` (WinterTC Sockets API, *SocketInfo*)."""

    remote_address: str
    """The peer that was really connected, ``ip:port`` or ``[ipv6]:port``."""
    local_address: str | None = None
    """This side of the connection, spelled the same way."""
    alpn: str | None = None
    """The negotiated application protocol (RFC 7301), or None."""
    tls_version: str | None = None
    """``"TLSv1.2"`` or ``"TLSv1.3"``, or None on a plain connection."""
    cipher: str | None = None
    """OpenSSL's name of the cipher suite."""
    peer_certificate: bytes | None = field(default=None, repr=False)
    """The peer's leaf certificate, DER."""
    timings: Timings = Timings()
    """Durations of name resolution, TCP connect and TLS handshake."""
