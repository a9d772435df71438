"""What parsers, state machines and authentication raise (PURE): the first two only ever ``ProtocolViolation``."""

from __future__ import annotations

from longshore.proto.postgres.sqlstate import INVALID_PASSWORD, PROTOCOL_VIOLATION

__all__ = ["AuthenticationFailed", "ProtocolViolation"]

_NO_TYPE = "start-up packet"
_FIRST_PRINTABLE, _LAST_PRINTABLE = 0x21, 0x7E


class ProtocolViolation(ValueError):
    """The peer sent what the PostgreSQL protocol does not allow.

    Attributes:
        reason: what is wrong, as a phrase.
        message_type: first byte of the message, or None for a start-up packet.
        position: offset in the message's payload (0 is the byte after the length word) where it was seen.
        is_fatal: True when message boundaries are lost and the connection is of no further use; False when only this
            message is malformed, which PostgreSQL answers with an ERROR and goes on.
        sqlstate: what to answer: ``08P01`` unless the protocol has a better code.
    """

    def __init__(
        self,
        reason: str,
        *,
        message_type: int | None = None,
        position: int = 0,
        is_fatal: bool = False,
        sqlstate: str = PROTOCOL_VIOLATION,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message_type = message_type
        self.position = position
        self.is_fatal = is_fatal
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        return f"{self.reason} (in {shown_type(self.message_type)}, at byte {self.position})"


def shown_type(message_type: int | None) -> str:
    """Return ``message 'Q'``, ``message 0x07`` or ``start-up packet``."""
    if message_type is None:
        return _NO_TYPE
    if _FIRST_PRINTABLE <= message_type <= _LAST_PRINTABLE:
        return f"message {chr(message_type)!r}"
    return f"message 0x{message_type:02x}"


class AuthenticationFailed(Exception):
    """One side could not prove who it is.

    Attributes:
        reason: as a phrase, and never why a password was wrong.
        sqlstate: ``28P01`` for a wrong password, ``28000`` when the method itself is refused.
    """

    def __init__(self, reason: str, *, sqlstate: str = INVALID_PASSWORD) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sqlstate = sqlstate
