"""LISTEN of one session, which one connection of the pool does for all (PURE).

A session that listens is made to listen on whichever server connection it gets, and at rest the connection is made to
listen no more: so LISTEN, UNLISTEN, their transactions and ``pg_listening_channels()`` are the server's own. What the
session hears comes from the pool's listener, to which ``channels`` are known; what its server connection says about
those is dropped, for it comes twice.

The end of the client's batch is held back (``held``) until the listener has answered: then it listens to what the
session has committed, and whatever was sent before, by the session itself too, has been heard. As the server does, a
session hears only when it is idle outside a transaction; its own notifications come in front of ReadyForQuery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.session.channels import listen_sql
from longshore.pool.session.core import SessionCore
from longshore.pool.session.tags import LISTEN_HERE, UNLISTEN_HERE
from longshore.proto.postgres.constants import FrontendType, TransactionStatus
from longshore.proto.postgres.errors import error_response
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["LISTENS", "Listening"]

LISTENS: Final = "LISTEN"
_F = FrontendType
_UNLISTEN: Final = serialize(Query(b"UNLISTEN *"))
_CANCELED: Final = "57014"
_PID_AT: Final = 5
_CHANNEL_AT: Final = 9
_MAX_UNHEARD_BYTES: Final = 1024 * 1024
_UTF8: Final = (b"UTF8", None)
_LOST: Final = error_response(
    "FATAL",
    "08006",
    "the connection that listened for this session was lost",
    detail="Notifications may have been lost with it.",
    hint="connect again, LISTEN again, and look for what was missed",
)
_FULL: Final = error_response(
    "FATAL",
    "54000",
    "the session does not take its notifications",
    detail=f"{_MAX_UNHEARD_BYTES} bytes of them wait for it.",
    hint="read from the connection and keep transactions short, or listen with a connection of its own",
)


class Listening(SessionCore):
    """See ``SessionEngine``."""

    channels: frozenset[str] = frozenset()
    """To which the listener listens for the session."""
    is_listening = False
    """The session listens, or has just said that it wants to."""
    wants_listener = False
    """Ask the pool's listener for ``wanted``; clear it."""
    wanted: frozenset[str] = frozenset()
    _is_asking = False
    _is_unlistening = False
    _is_canceled = False
    _is_settled = True
    """The listener knows all that the session has done."""
    _unheard: list[bytes] | None = None
    _unheard_bytes = 0

    # -- on the session's server connection ------------------------------------------------------

    def listen_here(self) -> None:
        """Make the server connection listen as the session does, before anything of the session runs there."""
        server = self.wire.server
        if not self.channels or server is None or server.listens or not server.relay.is_idle:
            return
        if server.relay.status is not TransactionStatus.IDLE or LISTENS in self.belongings.pins:
            return
        server.listens, server.unnamed = True, None
        self._is_settled = False
        self.wire.inject(serialize(Query(listen_sql(self.channels).encode())), _F.Query, LISTEN_HERE)
        self.is_waiting |= bool(server.cancels)

    def note_listening(self) -> None:
        """Take that the client is about to say LISTEN, UNLISTEN or the like."""
        assert self.wire.server is not None
        self.wire.server.listens = self.is_listening = True
        self._is_settled = False

    def bar(self) -> None:
        """Take nothing more of the client until its batch has ended: who knows whether it listens then."""
        server = self.wire.server
        if server is not None and not server.relay.is_copying_in and server.relay.outstanding_syncs:
            self.barrier = self.is_waiting = True

    def end_barrier(self) -> None:
        """Take the ReadyForQuery of that batch, which stands last in what is to be sent."""
        server = self.wire.server
        assert server is not None
        self.barrier = self.is_waiting = False
        if server.relay.is_idle and server.relay.status is TransactionStatus.IDLE:
            self.held = self.wire.to_client.pop()

    def take_channels(self, found: frozenset[str], text: str) -> None:
        """Take to what the server connection listens at rest, as the server says."""
        server = self.wire.server
        assert server is not None
        server.listens |= bool(found)
        self.is_listening = server.listens or bool(self.channels)
        is_new = not found <= self.channels
        # Nothing must be missed between the client's word that it listens and the listener's.
        is_possible = self.shared.shares_listening and not self.shared.is_session_mode
        can_share = is_possible and self.parameters.get(b"client_encoding") in _UTF8
        if is_new and (self.held is None or not can_share or LISTENS in self.belongings.pins):
            self.belongings.pin(LISTENS, text)
            return
        self.belongings.pins.pop(LISTENS, None)
        self._is_settled = False
        self.wanted = found

    # -- at rest ---------------------------------------------------------------------------------

    def settle_listening(self) -> bool:
        """Bring the listener up to date, and the connection to silence; return whether that is done."""
        server = self.wire.server
        assert server is not None
        if self._is_settled or LISTENS in self.belongings.pins:
            return True
        is_new = not self.wanted <= self.channels
        if self.wanted or self.channels:
            self.channels &= self.wanted
            self.wants_listener = self._is_asking = True
        if not is_new:  # otherwise the connection goes on until the listener has the word
            self._unlisten(server)
        return self._settle_step(server)

    def _unlisten(self, server: ServerMemory) -> None:
        if server.listens:
            self._is_unlistening = True
            server.unnamed = None
            self.wire.inject(_UNLISTEN, _F.Query, UNLISTEN_HERE)

    def _settle_step(self, server: ServerMemory) -> bool:
        self.is_waiting = self._is_asking or self._is_unlistening
        self._is_settled = not self.is_waiting
        if self._is_settled:
            self.is_listening = server.listens or bool(self.channels)
        return self._is_settled

    def _on_unlistened(self, server: ServerMemory) -> None:
        if self._is_canceled:
            self._is_canceled = False
            self._unlisten(server)
            return
        server.listens = self._is_unlistening = False
        self._settle_step(server)

    def on_own_listening(self, tag: object) -> None:
        """Take that the server connection listens as the session does, or not any more."""
        server = self.wire.server
        assert server is not None
        if tag is UNLISTEN_HERE:
            self._on_unlistened(server)
        elif not server.relay.pending:
            self.is_waiting = False

    def is_cancel_of_unlisten(self, tag: object, error: ErrorResponse) -> bool:
        """Return whether a cancel hit our UNLISTEN that was meant for the client's query: it is sent once more."""
        self._is_canceled = tag is UNLISTEN_HERE and error.sqlstate == _CANCELED
        return self._is_canceled

    def listener_answered(self, is_done: bool) -> None:
        """Take the answer of the pool's listener to ``wanted``."""
        server = self.wire.server
        if not self._is_asking or server is None:
            return
        self._is_asking = False
        if not is_done and self.channels:
            self.failure = _LOST
            return
        if is_done:
            self.channels = self.wanted
            self._unlisten(server)
        else:  # the server connection goes on to listen
            self.wanted = self.channels
            self.belongings.pin(LISTENS, self.last_text)
        self._settle_step(server)
        self.go_on_at_rest()

    def go_on_at_rest(self) -> None:
        """See ``SessionEngine``."""
        raise NotImplementedError

    def release_held(self) -> None:
        """Send what the client has to hear, and then that its batch has ended."""
        self.tell_notifications()
        if self.held is not None:
            self.wire.to_client.append(self.held)
            self.held = None

    # -- notifications ---------------------------------------------------------------------------

    def hears(self, raw: bytes) -> bool:
        """Return whether the client is to hear a notification that came on its server connection."""
        server = self.wire.server
        assert server is not None
        if channel_of(raw) in self.channels:
            return False
        is_own = int.from_bytes(raw[_PID_AT:_CHANNEL_AT], "big") == server.pid
        return is_own or self.held is None or LISTENS in self.belongings.pins

    def notified(self, raw: bytes, *, is_slow: bool = False) -> None:
        """Take a notification of the listener.

        Args:
            raw: the message.
            is_slow: the client does not keep up with what it is sent.
        """
        if channel_of(raw) not in self.channels:
            return
        self._unheard = self._unheard or []
        self._unheard.append(self.with_client_pid(raw))
        self._unheard_bytes += len(raw)
        server = self.wire.server
        is_busy = server is not None and (
            self.is_waiting or not server.relay.is_idle or server.relay.status is not TransactionStatus.IDLE
        )
        if not is_busy and not is_slow:
            self.tell_notifications()
        elif self._unheard_bytes > _MAX_UNHEARD_BYTES:
            self.failure = _FULL

    def tell_notifications(self) -> None:
        """Send what waits; of channels that the session has left since, nothing."""
        unheard, self._unheard, self._unheard_bytes = self._unheard, None, 0
        if unheard:
            self.wire.to_client.extend(raw for raw in unheard if channel_of(raw) in self.channels)

    def listener_lost(self) -> None:
        """Take that notifications may be lost."""
        self.failure = _LOST

    def with_client_pid(self, raw: bytes) -> bytes:
        """Return a notification with the process id that its sender was told: clients look for their own."""
        pid = self.shared.notifiers.get(int.from_bytes(raw[_PID_AT:_CHANNEL_AT], "big"))
        return raw if pid is None else raw[:_PID_AT] + pid.to_bytes(4, "big") + raw[_CHANNEL_AT:]


def channel_of(raw: bytes) -> str:
    """Return the channel of a NotificationResponse."""
    return raw[_CHANNEL_AT : raw.index(0, _CHANNEL_AT)].decode(errors="replace")
