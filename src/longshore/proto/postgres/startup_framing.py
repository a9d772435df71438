"""Cut start-up packets out of the first bytes of a connection (PURE; manual: Start-up, SSL Session Encryption).

These have no type byte: an Int32 length that counts itself, an Int32 code, and the rest. A client may start TLS
directly instead, and then its first byte is 0x16. One packet at a time: what stands behind it must not be looked at
before it was answered, and after SSLRequest there must be nothing (CVE-2021-23214).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from longshore.proto.postgres.constants import (
    CANCEL_REQUEST_CODE,
    GSSENC_REQUEST_CODE,
    MAX_STARTUP_BYTES,
    SSL_REQUEST_CODE,
    TLS_HANDSHAKE_RECORD,
)
from longshore.proto.postgres.frontend_messages import (
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    StartupPacket,
)
from longshore.proto.postgres.parse_backend import read_cancel_key
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.proto.postgres.wire import LENGTH_BYTES, UINT32, Payload

__all__ = ["DirectTls", "StartupEvent", "StartupReader", "parse_startup"]

_CODE_BYTES = 4
_MAJOR = 3
MAX_PARAMETERS = 1000
"""More names than a packet of 10,000 bytes sensibly holds; keeps the work for a stranger small."""


@dataclass(frozen=True, slots=True)
class DirectTls:
    """The client speaks TLS at once: hand every byte so far to the TLS engine, and demand ALPN ``postgresql``."""

    data: bytes


StartupEvent: TypeAlias = StartupPacket | DirectTls


class StartupReader:
    """Reads one start-up packet after the other.

    Args:
        is_first: False once encryption is up or was refused: then TLS cannot start directly any more.
    """

    __slots__ = ("_buffer", "_is_first")

    def __init__(self, *, is_first: bool = True) -> None:
        self._buffer = bytearray()
        self._is_first = is_first

    def receive_data(self, data: bytes) -> StartupEvent | None:
        """Take bytes in; return the next packet, or None when more are needed.

        ``receive_data(b"")`` asks for the packet behind the one that was returned last.

        Raises:
            ProtocolViolation: the length cannot be, or the packet is malformed (``is_fatal``).
        """
        self._buffer += data
        if self._is_first and self._buffer and self._buffer[0] == TLS_HANDSHAKE_RECORD:
            return DirectTls(self.take_rest())
        if len(self._buffer) < LENGTH_BYTES:
            return None
        (length,) = UINT32.unpack_from(self._buffer)
        if not _CODE_BYTES <= length - LENGTH_BYTES <= MAX_STARTUP_BYTES:
            raise ProtocolViolation(f"invalid length of startup packet: {length}", is_fatal=True)
        if len(self._buffer) < length:
            return None
        payload = bytes(self._buffer[LENGTH_BYTES:length])
        del self._buffer[:length]
        self._is_first = False
        return parse_startup(payload)

    @property
    def buffered_bytes(self) -> int:
        """How many bytes stand behind the last packet."""
        return len(self._buffer)

    def take_rest(self) -> bytes:
        """Return what stands behind the last packet and forget it: the first bytes for the ``FrameReader``."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def parse_startup(payload: bytes) -> StartupPacket:
    """Return the packet of the bytes behind the length word.

    Raises:
        ProtocolViolation: malformed. The version is not judged here.
    """
    try:
        return _parse(Payload(payload))
    except ProtocolViolation as exc:
        exc.is_fatal = True
        raise


def _parse(reader: Payload) -> StartupPacket:
    code = reader.int32()
    packet: StartupPacket
    if code == CANCEL_REQUEST_CODE:
        packet = CancelRequest(reader.int32(), read_cancel_key(reader))
    elif code == SSL_REQUEST_CODE:
        packet = SSLRequest()
    elif code == GSSENC_REQUEST_CODE:
        packet = GSSENCRequest()
    else:
        packet = StartupMessage(_parameters(reader, code), code)
    reader.end()
    return packet


def _parameters(reader: Payload, code: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return names and values; the packet of another major version may look as it likes."""
    if code >> 16 != _MAJOR:
        reader.rest()
        return ()
    pairs: list[tuple[bytes, bytes]] = []
    while name := reader.string():
        if len(pairs) == MAX_PARAMETERS:
            reader.fail(f"more than {MAX_PARAMETERS} parameters")
        pairs.append((name, reader.string()))
    return tuple(pairs)
