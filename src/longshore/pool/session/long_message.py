"""Parse and Bind that are too long to be kept: only their names are read, the rest is passed on (PURE)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.constants import FrontendType
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from longshore.proto.postgres.framing import FrameChunk, FrameStart

__all__ = ["LongHead"]

_HEADER: Final = Struct("!BI")
_MAX_NAMES_BYTES: Final = 64 * 1024


class LongHead:
    """The first bytes of a message, up to the names in it.

    Args:
        start: its announcement.
    """

    __slots__ = ("_data", "_payload_bytes", "_wanted", "type")

    def __init__(self, start: FrameStart) -> None:
        self.type = start.type
        self._payload_bytes = start.payload_bytes
        self._data = bytearray()
        self._wanted = 2 if start.type == FrontendType.Bind else 1

    def add(self, chunk: FrameChunk) -> bool:
        """Take bytes; return whether all names are there.

        Raises:
            ProtocolViolation: they never will be.
        """
        self._data += chunk.raw
        if self._data.count(0) >= self._wanted:
            return True
        if chunk.is_last or len(self._data) > _MAX_NAMES_BYTES:
            raise ProtocolViolation("malformed", message_type=self.type)
        return False

    def names(self) -> tuple[bytes, bytes]:
        """Return portal (empty for Parse) and statement."""
        parts = bytes(self._data).split(b"\0", self._wanted)
        return (parts[0] if self._wanted > 1 else b"", parts[self._wanted - 1])

    def renamed(self, name: bytes) -> bytes:
        """Return what has come so far, for another statement."""
        parts = bytes(self._data).split(b"\0", self._wanted)
        length = 4 + self._payload_bytes + len(name) - len(parts[self._wanted - 1])
        parts[self._wanted - 1] = name
        return _HEADER.pack(self.type, length) + b"\0".join(parts)
