"""currval() and lastval(): what this session took from a sequence, which only one server connection knows (PURE).

The first time that a session asks, it is answered if its last write went through the connection that it has now, and
if no other session has written there since; otherwise it is told that the value is not known here. From then on the
session keeps its connection. A wrong value is never given for the sequence that was moved last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.pool.session.client_messages import ClientMessages
    from longshore.sql.facts import TextFacts

__all__ = ["UNKNOWN_VALUE", "UNKNOWN_VALUE_SQL", "may_read"]

UNKNOWN_VALUE: Final = (
    "55000",
    "currval of the sequence is not yet defined in this session",
    (
        "take the value with INSERT ... RETURNING, or use nextval and currval in one transaction: another server"
        " connection may have served this session in between"
    ),
)
_RAISE: Final = (
    "DO $longshore$BEGIN RAISE EXCEPTION USING ERRCODE = '{0}', MESSAGE = '{1}', HINT = '{2}'; END$longshore$"
)
UNKNOWN_VALUE_SQL: Final = _RAISE.format(*UNKNOWN_VALUE).encode()
"""Fails on the server, so that its transaction fails too."""


def may_read(session: ClientMessages, facts: TextFacts) -> bool:
    """Return whether the server connection would tell the truth."""
    server = session.wire.server
    assert server is not None
    if session.shared.is_session_mode or facts.moves_sequence or "sequence value" in session.belongings.pins:
        return True
    return server.sequence_owner == session.session_id and session.sequence_server == server.server_id
