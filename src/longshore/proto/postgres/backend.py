"""We are the server: one client, one message after the other (PURE; manual: Message Flow).

Feed it what the client says in the order of the wire, and not before the last message was answered; tell it what is
sent. It serves where we answer ourselves: the login, the admin database. For a relayed session see ``relay``.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from longshore.proto.postgres.constants import ASYNCHRONOUS_TYPES, AuthCode, BackendType, TransactionStatus
from longshore.proto.postgres.detail import backend_detail
from longshore.proto.postgres.states import AUTHENTICATION_OK, IGNORED, RECEIVED, SENT, Phase
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from longshore.proto.postgres.backend_messages import BackendMessage
    from longshore.proto.postgres.frontend_messages import FrontendMessage

__all__ = ["BackendState", "Received"]

_NOTHING: frozenset[int] = frozenset()


class Received(Enum):
    """What to do with a client's message."""

    ACCEPTED = auto()
    IGNORED = auto()
    """A server reads it and forgets it."""


class BackendState:
    """The server's view of one session, from the StartupMessage on."""

    __slots__ = ("phase", "status")

    def __init__(self, phase: Phase = Phase.AUTHENTICATION) -> None:
        self.phase = phase
        self.status = TransactionStatus.IDLE

    @property
    def is_closed(self) -> bool:
        """True after Terminate, or an error that ends the session."""
        return self.phase is Phase.CLOSED

    @property
    def is_reading(self) -> bool:
        """True when the next message of the client is to be taken."""
        return bool(RECEIVED[self.phase])

    def receive(self, message: FrontendMessage) -> Received:
        """Take a message of the client; see ``received``."""
        return self.received(message.type)

    def received(self, message_type: int) -> Received:
        """Take the type of a client's message.

        Raises:
            ProtocolViolation: not legal in this phase; answer it with an error and send that through ``send``.
        """
        following = RECEIVED[self.phase].get(message_type)
        if following is not None:
            self.phase = following
            return Received.ACCEPTED
        if message_type in IGNORED.get(self.phase, _NOTHING):
            return Received.IGNORED
        is_login = self.phase in (Phase.AUTHENTICATION, Phase.PARAMETERS)
        raise ProtocolViolation(f"not legal in state {self.phase.name}", message_type=message_type, is_fatal=is_login)

    def send(self, message: BackendMessage) -> None:
        """Note a message of ours; see ``sent``."""
        self.sent(message.type, backend_detail(message))

    def sent(self, message_type: int, detail: int = 0) -> None:
        """Note the type of a message of ours.

        Args:
            message_type: its first byte.
            detail: the status of ReadyForQuery, the code of Authentication, True for an error that ends the session.

        Raises:
            ProtocolViolation: we must not send that now.
        """
        if message_type in ASYNCHRONOUS_TYPES and not self.is_closed:
            return
        key = message_type
        if key == BackendType.Authentication and detail == AuthCode.Ok:
            key = AUTHENTICATION_OK
        following = SENT[self.phase].get(key)
        is_end = message_type == BackendType.ErrorResponse and bool(detail)
        if following is None and not (is_end and not self.is_closed):
            raise ProtocolViolation(f"must not be sent in state {self.phase.name}", message_type=message_type)
        if message_type == BackendType.ReadyForQuery:
            self.status = TransactionStatus(detail)
        self.phase = Phase.CLOSED if is_end or following is None else following
