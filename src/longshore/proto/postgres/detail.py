"""The one number besides its type that a state machine needs of a message (PURE).

Machines work on types, so that a relay need not parse; this is how a parsed message is given to them.
"""

from __future__ import annotations

from longshore.proto.postgres.backend_messages import BackendMessage, ErrorResponse, ReadyForQuery
from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.errors import is_session_end
from longshore.proto.postgres.frontend_messages import Describe, FrontendMessage

__all__ = ["backend_detail", "frontend_detail"]


def frontend_detail(message: FrontendMessage) -> int:
    """Return the byte ``S`` or ``P`` of Describe; 0 for the others."""
    return message.kind[0] if isinstance(message, Describe) else 0


def backend_detail(message: BackendMessage) -> int:
    """Return the status of ReadyForQuery, the code of Authentication, or 1 for an error that ends the session."""
    if isinstance(message, ReadyForQuery):
        return message.status
    if isinstance(message, ErrorResponse):
        return int(is_session_end(message))
    if message.type == BackendType.Authentication:
        return int(getattr(message, "code", 0))
    return 0
