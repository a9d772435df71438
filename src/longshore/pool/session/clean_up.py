"""How a server connection becomes clean that a session left in the middle of something (PURE).

In this order, each step when the one before has been answered: a COPY is broken off, the extended protocol is brought
to an end, the transaction is rolled back, what the session left is taken away. What was asked before may take its time:
the shell cancels it, and closes the connection when it takes too long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.session.rename import SYNC
from longshore.proto.postgres.constants import BackendType, FrontendType, TransactionStatus
from longshore.proto.postgres.framing import Frame, FrameStart
from longshore.proto.postgres.frontend_messages import CopyFail, Query
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.session.server_memory import ServerMemory
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["CleanUp"]

_F, _B = FrontendType, BackendType
_ROLLBACK: Final = serialize(Query(b"ROLLBACK"))
_COPY_FAIL: Final = serialize(CopyFail(b"the client has gone"))
_RESET: Final = serialize(
    Query(
        b"CLOSE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES;"
        b" RESET SESSION AUTHORIZATION; RESET ALL; DEALLOCATE ALL"
    )
)
_MAX_STEPS: Final = 10


class CleanUp:
    """One connection that a session has left.

    Args:
        server: the connection.
        is_dirty: True when it is not known what the session left there.
    """

    def __init__(self, server: ServerMemory, *, is_dirty: bool) -> None:
        self.to_server: list[bytes] = []
        self.is_clean = False
        self.is_hopeless = False
        """Close it."""
        self.is_busy = bool(server.relay.pending)
        """The server works on what the session asked: time for a cancel."""
        self._is_resetting = False
        self._server = server
        self._is_dirty = is_dirty
        self._steps = 0
        self._advance()

    def server_received(self, events: Iterable[FrameEvent]) -> None:
        """Take messages of the server.

        Raises:
            ProtocolViolation: it does not keep to the protocol.
        """
        relay = self._server.relay
        for event in events:
            if isinstance(event, Frame):
                # A late cancel may hit what we do.
                self.is_hopeless |= self._is_resetting and event.type == _B.ErrorResponse
                relay.server_sent(event.type, _detail(event))
                if event.type == _B.ParameterStatus:
                    name, _, value = event.raw[5:-1].partition(b"\0")
                    self._server.parameters[name] = value
            elif isinstance(event, FrameStart):
                relay.server_sent(event.type)
        relay.take_local()
        relay.take_finished()
        self._advance()

    def _advance(self) -> None:
        """Do the next step."""
        relay = self._server.relay
        if self.is_hopeless:
            return
        if relay.is_closed or relay.is_lost or self._steps > _MAX_STEPS:
            self.is_hopeless = True
        elif relay.is_copying_in:
            self._send(_COPY_FAIL, _F.CopyFail)
        elif relay.pending and not relay.is_unsynced:
            pass  # without a Sync the server may keep its answers back
        elif relay.uncertain_syncs:
            self.is_hopeless = True
        elif relay.is_unsynced or not relay.is_idle:
            self._send(SYNC, _F.Sync)
        elif relay.status is not TransactionStatus.IDLE:
            self._send(_ROLLBACK, _F.Query)
        elif self._is_dirty:
            self._reset()
        else:
            self.is_clean = True

    def _reset(self) -> None:
        server = self._server
        self._is_dirty, self._is_resetting = False, True
        server.settings, server.unnamed, server.sql_owner, server.sequence_owner = {}, None, None, None
        server.listens = False
        server.forget_prepared()
        self._send(_RESET, _F.Query)

    def _send(self, raw: bytes, message_type: int) -> None:
        self._steps += 1
        self._server.relay.pool_sent(message_type)
        self.to_server.append(raw)


def _detail(frame: Frame) -> int:
    if frame.type == _B.ReadyForQuery:
        return frame.raw[5]
    # FATAL and PANIC: the connection ends.
    return int(frame.type == _B.ErrorResponse and (b"VFATAL\0" in frame.raw or b"VPANIC\0" in frame.raw))
