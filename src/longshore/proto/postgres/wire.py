"""Reading and writing the data types of the protocol (PURE; manual: Message Data Types).

``Payload`` reads the bytes of one message behind its length word. Every read checks its bounds, so a malformed message
ends in ``ProtocolViolation`` and in nothing else. The builders below are its mirror image.
"""

from __future__ import annotations

from struct import Struct
from typing import NoReturn

from longshore.errors import ArgumentValueError
from longshore.proto.postgres.violation import ProtocolViolation

__all__ = ["Payload", "make_cstring", "make_message", "make_value"]

INT16 = Struct("!h")
UINT16 = Struct("!H")
INT32 = Struct("!i")
UINT32 = Struct("!I")
HEADER = Struct("!BI")

LENGTH_BYTES = 4
NULL = -1


class Payload:
    """A cursor over one message.

    Args:
        data: the bytes behind the length word.
        message_type: for the exception; None for a start-up packet.
    """

    __slots__ = ("data", "message_type", "position")

    def __init__(self, data: bytes, message_type: int | None = None) -> None:
        self.data = data
        self.message_type = message_type
        self.position = 0

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.position

    def fail(self, reason: str) -> NoReturn:
        """Raise ``ProtocolViolation`` for the present position."""
        raise ProtocolViolation(reason, message_type=self.message_type, position=self.position)

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        if count > self.remaining:
            self.fail(f"{count} bytes announced, {self.remaining} left")
        start = self.position
        self.position = start + count
        return self.data[start : self.position]

    def byte(self) -> int:
        """Return an unsigned byte."""
        return self.take(1)[0]

    def int16(self) -> int:
        """Return a signed Int16."""
        return int(INT16.unpack(self.take(2))[0])

    def uint16(self) -> int:
        """Return an unsigned Int16, as counts are: up to 65,535 parameters."""
        return int(UINT16.unpack(self.take(2))[0])

    def int32(self) -> int:
        """Return a signed Int32."""
        return int(INT32.unpack(self.take(4))[0])

    def uint32(self) -> int:
        """Return an unsigned Int32, as OIDs are."""
        return int(UINT32.unpack(self.take(4))[0])

    def string(self) -> bytes:
        """Return a String without the NUL that ends it."""
        end = self.data.find(b"\0", self.position)
        if end < 0:
            self.fail("string without terminator")
        value = self.data[self.position : end]
        self.position = end + 1
        return value

    def value(self) -> bytes | None:
        """Return a value with its Int32 length, or None for the length -1."""
        length = self.int32()
        if length == NULL:
            return None
        if length < 0:
            self.fail(f"negative length {length}")
        return self.take(length)

    def uint16_list(self) -> tuple[int, ...]:
        """Return numbers of 16 bits behind their count."""
        count = self.uint16()
        return Struct(f"!{count}H").unpack(self.take(2 * count))

    def uint32_list(self) -> tuple[int, ...]:
        """Return numbers of 32 bits behind their count of 16."""
        count = self.uint16()
        return Struct(f"!{count}I").unpack(self.take(4 * count))

    def value_list(self) -> tuple[bytes | None, ...]:
        """Return values behind their count."""
        return tuple([self.value() for _ in range(self.uint16())])

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.remaining)

    def end(self) -> None:
        """Check that nothing is left."""
        if self.remaining:
            self.fail(f"{self.remaining} bytes too many")


def make_message(message_type: int, payload: bytes = b"") -> bytes:
    """Return type, length and payload."""
    return HEADER.pack(message_type, len(payload) + LENGTH_BYTES) + payload


def make_cstring(value: bytes) -> bytes:
    """Return a String.

    Raises:
        ArgumentValueError: there is a NUL in it, which would end it early.
    """
    if b"\0" in value:
        raise ArgumentValueError(f"a string of the protocol must not hold a NUL byte, got {value[:80]!r}")
    return value + b"\0"


def make_value(value: bytes | None) -> bytes:
    """Return a value behind its length, -1 for None."""
    if value is None:
        return INT32.pack(NULL)
    return INT32.pack(len(value)) + value


def make_uint16_list(values: tuple[int, ...]) -> bytes:
    """Return count and numbers of 16 bits."""
    return Struct(f"!H{len(values)}H").pack(len(values), *values)


def make_uint32_list(values: tuple[int, ...]) -> bytes:
    """Return count of 16 bits and numbers of 32."""
    return Struct(f"!H{len(values)}I").pack(len(values), *values)


def make_value_list(values: tuple[bytes | None, ...]) -> bytes:
    """Return count and values."""
    return UINT16.pack(len(values)) + b"".join(map(make_value, values))
