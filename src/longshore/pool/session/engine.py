"""One client's session over changing server connections (PURE): nothing of it breaks, and nothing is silent.

Theory of operation. Messages of the client come in through ``client_received``, those of the server through
``server_received``; what is to be sent lies in ``wire``. As long as nothing needs a server connection there is none:
``wants_server`` asks for one, ``attach`` gives it. Then the session is *restored* on it: its parameters and the
statements of SQL's PREPARE (``Belongings``), by queries that go out in front of the client's.

When the server is idle and outside a transaction the session is *at rest*, and ``Unit`` says what may have stayed
behind. What the text of the statements tells is remembered for the next ``attach``; what it does not tell is asked
(``probe``), while the client waits. What cannot be carried over (advisory locks, temporary tables, …) *pins* the
session to its connection for as long as it is there. Otherwise ``is_done`` says that the connection may go to
somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.session.belongings import PROCESS, SESSION_MODE, Belongings
from longshore.pool.session.client_messages import ClientMessages
from longshore.pool.session.core import nobody
from longshore.pool.session.packing import pack, unpack
from longshore.pool.session.probe import parse_findings, probe_sql
from longshore.pool.session.rename import CLOSE_COMPLETE, SYNC, close_message
from longshore.pool.session.server_messages import ServerMessages
from longshore.pool.session.settings import is_sure_to_succeed
from longshore.pool.session.tags import AGAIN, PROBE, RESTORE, RETRY, Replay
from longshore.pool.session.unit import Unit
from longshore.proto.postgres.constants import FrontendType, TransactionStatus
from longshore.proto.postgres.errors import error_response, violation_response
from longshore.proto.postgres.framing import Frame
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.session.packing import Packed
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.pool.session.shared import PoolShared
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["READY_IDLE", "SessionEngine"]

READY_IDLE: Final = b"Z\x00\x00\x00\x05I"
_CANCELED: Final = serialize(error_response("ERROR", "57014", "canceling statement due to user request"))
_UNKNOWN_STATE: Final = "unknown state"

_F = FrontendType


class SessionEngine(ClientMessages, ServerMessages):
    """One session.

    Args:
        session_id: of the pool.
        shared: of the pool.
        settings: what the client asked for in its StartupMessage: name → statement.
        parameters: what the client was told of the server's parameters.
    """

    def __init__(
        self, session_id: int, shared: PoolShared, settings: dict[str, str], parameters: dict[bytes, bytes]
    ) -> None:
        super().__init__(session_id, shared, Belongings(session_id, shared, settings))
        self.parameters = dict(parameters)
        self._scans_epoch = -1  # see PoolShared.scanned_epoch
        if shared.cache is not None:
            self.desk = shared.cache.desk(self)

    def join_cache(self) -> None:
        """Ask the cache of the pool from now on, which may not have been there when the session began; idempotent."""
        if self.desk is None and self.shared.cache is not None:
            self.desk = self.shared.cache.desk(self)
            self.desk.join()

    def end(self) -> None:
        """Let go of what refers to the session, so that it goes without the collector; the last call."""
        if self.desk is None:
            self.on_wake = nobody
            self.wire.end()
            self.extended.end()

    # -- what may be asked -----------------------------------------------------------------------

    @property
    def wants_server(self) -> bool:
        """True when the client has said something that needs a server connection."""
        is_waiting = self.desk is not None and self.desk.is_waiting
        return self.wire.server is None and bool(self.inbox) and not self.is_ended and not is_waiting

    @property
    def has_arrears(self) -> bool:
        """True while messages of the client wait for something: better not read more of them."""
        return bool(self.inbox)

    # -- to another process ----------------------------------------------------------------------

    def packed(self) -> Packed | None:
        """Return the session as values that JSON can write; None when it cannot be moved now.

        It can when it has no server connection and waits for none, and nothing of it is under way. Whether there is
        half a message of the client is for the caller to know, who has the reader.
        """
        is_busy = self.inbox or self.is_skipping_alone or self.wire.to_client or self.wire.to_server
        is_over = self.is_ended or self.failure is not None
        if self.wire.server is not None or is_busy or is_over or self.belongings.pins or self.channels:
            return None
        return pack(self)

    @classmethod
    def unpacked(cls, values: Packed, session_id: int, shared: PoolShared) -> SessionEngine:
        """Return the session that was packed, for another pool of the same database and account.

        Raises:
            ValueError: the values are not what ``packed`` returned.
        """
        try:
            engine = cls(session_id, shared, values["start_settings"], {})
            unpack(engine, values)
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"not a packed session: {exc}") from exc
        return engine

    # -- server connections ----------------------------------------------------------------------

    def attach(self, server: ServerMemory) -> None:
        """Go on with this connection, which nobody else uses."""
        assert self.wire.server is None
        self.wire.server = server
        self.is_done = False
        self.unit = Unit()
        if self.shared.is_session_mode and self.inbox:
            self.belongings.pin(SESSION_MODE, "")
        if self.desk is not None:
            self.desk.attached()
        self.extended.at_rest()
        self.listen_here()
        if len(server.prepared) > self.shared.max_prepared and self.extended.evict():
            self.wire.inject(SYNC, _F.Sync)
        pending = server.relay.pending
        self.restore()
        if server.relay.pending == pending:
            self.tell_parameters()
        self._drain_inbox()
        self._rest()
        if self.desk is not None:
            self.desk.after(())

    def repeat(self, server: ServerMemory) -> None:
        """Go on with this connection, where a batch of the inbox fails that was sent without its Parse: send it all."""
        self.is_waiting = True
        self.attach(server)
        server.unnamed = None
        self.wire.inject(b"", _F.Bind, AGAIN)
        self.wire.inject(b"", _F.Sync, RETRY)

    def detach(self) -> ServerMemory:
        """Give the connection back; only when ``is_done``."""
        assert self.is_done
        server, self.wire.server = self.wire.server, None
        assert server is not None
        self.is_done = False
        return server

    def abandon(self) -> tuple[ServerMemory | None, bool]:
        """Let go of the connection wherever it is.

        Returns:
            The connection, None when it is of no use any more; and whether the session left something on it that
            nobody knows. See ``CleanUp``.
        """
        server, self.wire.server = self.wire.server, None
        if server is None or server.relay.is_closed or server.relay.is_lost or self.is_in_message:
            return None, False
        if PROCESS in self.belongings.pins:
            return None, False
        self.recheck_trust()
        is_busy = self.is_waiting or self.held is not None
        is_dirty = self.belongings.pins or self.unit.effects or is_busy or self.unit.has_error or server.listens
        return server, bool(is_dirty)

    # -- from the client -------------------------------------------------------------------------

    def client_received(self, events: Iterable[FrameEvent]) -> None:
        """Take messages of the client.

        Raises:
            ProtocolViolation: the client does not keep to the protocol; end the session.
        """
        inbox = self.inbox
        if self.wire.server is None:
            inbox.extend(events)
            if self.is_skipping_alone:
                self._skip_to_sync()
            self.answer_alone()
            if self.desk is not None:
                self.desk.look()
            return
        self.is_done = False
        if self.channels:
            self.listen_here()
        for event in events:
            if inbox or self.is_waiting:
                inbox.append(event)
            else:
                self.take(event)
        if not inbox and self.wire.server.relay.is_idle:
            self._rest()  # it was nothing for the server

    def answer_alone(self) -> None:
        """Answer what needs no server, as long as nothing that needs one stands before it."""
        inbox = self.inbox
        while inbox and isinstance(frame := inbox[0], Frame):
            if frame.type == _F.Terminate:
                self.is_ended = True
            elif frame.type == _F.Sync:
                self.wire.to_client.append(READY_IDLE)
            elif frame.type == _F.Close and frame.raw[5:6] == b"S":
                if self.extended.forget(frame.raw[6:-1])[1]:
                    return
                self.wire.to_client.append(CLOSE_COMPLETE)
            elif frame.type != _F.Flush:
                return
            inbox.popleft()

    def cancel_waiting(self) -> None:
        """Give up what waits for a server connection: as if it had been cancelled there."""
        inbox = self.inbox
        if self.wire.server is not None or not inbox:
            return
        if self.desk is not None:
            self.desk.cancelled()
        self.wire.to_client.append(_CANCELED)
        first, inbox_types = inbox[0], (_F.Query, _F.FunctionCall)
        if isinstance(first, Frame) and first.type in inbox_types:
            inbox.popleft()
            self.wire.to_client.append(READY_IDLE)
        else:
            self._skip_to_sync()
        self.answer_alone()

    def _skip_to_sync(self) -> None:
        inbox = self.inbox
        while inbox:
            event = inbox.popleft()
            if isinstance(event, Frame) and event.type == _F.Sync:
                self.wire.to_client.append(READY_IDLE)
                self.is_skipping_alone = False
                return
        self.is_skipping_alone = True

    def _drain_inbox(self) -> None:
        inbox = self.inbox
        try:
            while inbox and not self.is_waiting and not self.is_ended:
                self.take(inbox.popleft())
        except ProtocolViolation as exc:
            self.failure = violation_response(exc)

    # -- from the server -------------------------------------------------------------------------

    def server_received(self, events: Iterable[FrameEvent]) -> None:
        """Take messages of the server.

        Raises:
            ProtocolViolation: it does not keep to the protocol; the connection is of no further use.
        """
        if self.desk is not None:
            self.desk.before()
        try:
            self.take_replies(events)
        except ProtocolViolation:
            raise
        except (ValueError, IndexError) as exc:  # a message is shorter than it says
            raise ProtocolViolation(f"malformed: {exc}", is_fatal=True) from exc
        server = self.wire.server
        if self.barrier and server is not None and server.relay.is_copying_in:
            self.barrier = self.is_waiting = False  # the client's data are part of the batch
        if self.inbox and not self.is_waiting and self.held is None:
            self._drain_inbox()
        if server is not None and not server.relay.pending:
            self._rest()
        if self.desk is not None:
            self.desk.after(events)

    # -- at rest ---------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Decide whether the connection is to be kept, when nothing is in flight."""
        server = self.wire.server
        if server is None or self.is_waiting or self.failure is not None or (self.inbox and self.held is None):
            return
        relay = server.relay
        if relay.status is not TransactionStatus.IDLE or not relay.is_idle:
            return
        unit, pins = self.unit, self.belongings.pins
        self.recheck_trust()
        if unit.needs_probe or (pins and (unit.changes_catalogue or _UNKNOWN_STATE in pins)):
            self._ask()
            return
        if not self._finish_unit() or (self.is_listening and not self.settle_listening()):
            return
        self.release_held()
        if self.inbox:
            self.go_on_at_rest()
        else:
            self.is_done = not pins and relay.is_idle

    def go_on_at_rest(self) -> None:
        """Go on where the session waited for the pool's listener, or for the end of its own batch."""
        if self.held is None:
            self.listen_here()
            self._drain_inbox()
        if self.held is not None or not self.inbox:
            self._rest()

    def _finish_unit(self) -> bool:
        """Remember what the statements did; return whether the session need not wait now."""
        unit, server = self.unit, self.wire.server
        assert server is not None
        if unit.changes_catalogue:
            self.shared.begin_change(server)
            self.shared.end_change(server)
        if unit.changes and not unit.is_unclear:
            self.belongings.settle(unit, server)
            if self.belongings.pins:
                self.restore()  # what a RESET brings back
        self.unit = Unit()
        return not self.is_waiting

    def _ask(self) -> None:
        """Ask the server what stayed behind; the client waits meanwhile."""
        self.is_waiting = True
        self.shared.statistics.probes += 1
        assert self.wire.server is not None
        self.wire.server.unnamed = None  # a simple query takes it away
        self.start_capture()
        belongings = self.belongings
        names = {name for name in (*belongings.settings, *self.shared.dotted_names) if "." in name}
        sql = probe_sql(names, reads_code=self.shared.scanned_epoch != self.shared.epoch)
        self._scans_epoch = self.shared.epoch
        self.wire.inject(serialize(Query(sql.encode())), _F.Query, PROBE)

    def on_probe_answered(self) -> None:
        """Take what the server said about the session."""
        server, unit = self.wire.server, self.unit
        assert server is not None
        self.is_waiting = False
        if self.failure is not None:
            return
        try:
            findings = parse_findings(self.take_capture()[11:], self.shared.login)
        except ValueError as exc:
            raise ProtocolViolation(f"the answer about the session is malformed: {exc}", is_fatal=True) from exc
        is_unclear = unit.is_unclear
        unit.is_murky = unit.has_error = False
        if is_unclear:
            unit.changes = [each for each in unit.changes if each[0].name in findings.prepared]
        self.shared.dotted_names |= findings.hidden
        self.shared.scanned_epoch = self._scans_epoch
        self.belongings.pins.pop(_UNKNOWN_STATE, None)
        text = self.last_text
        self._finish_unit()
        self.belongings.reconcile(findings, server, text)
        self.take_channels(findings.channels, text)
        self.extended.keep_only(findings.protocol_prepared)
        if self.belongings.pins:
            self.restore()

    def probe_again(self, is_hopeless: bool) -> None:
        """Take that there was no answer: a cancel meant for the client's query hit ours, or its time-out did."""
        self.is_waiting = False
        if is_hopeless:
            self.belongings.pin(_UNKNOWN_STATE, self.last_text)
            return
        self._ask()

    # -- restoring -------------------------------------------------------------------------------

    def restore(self) -> None:
        """Make the connection have what the session has.

        The client's messages follow at once where nothing can go wrong. Where it can, they wait: a query must not run
        as another role because ours has been dropped.
        """
        server, belongings = self.wire.server, self.belongings
        assert server is not None
        is_same = server.settings == belongings.settings and server.suspect in (None, self.session_id)
        if is_same and not server.sql_prepared and not belongings.sql_prepared:
            return
        is_sure = not server.cancels and is_sure_to_succeed(server.settings, belongings.settings)
        statements, gone, prepared = belongings.restore(server)
        for name in gone:
            self.wire.inject(close_message(name.encode()), _F.Close)
        if gone:
            self.wire.inject(SYNC, _F.Sync)
        if statements:
            server.unnamed = None
            # A text may end in a comment that only a line's end closes.
            sql = "\n;".join(statements)
            self.wire.inject(serialize(Query(sql.encode())), _F.Query, RESTORE)
            self.is_waiting |= not is_sure
        for name, sql in prepared:
            server.unnamed = None
            self.wire.inject(serialize(Query(sql.encode())), _F.Query, Replay(name))

    def on_restored(self, is_done: bool) -> None:
        """Take how it ended."""
        server = self.wire.server
        assert server is not None
        self.is_waiting = False
        if is_done:
            self.tell_parameters()
        elif self.failure is None:  # a cancel meant for the client's query hit ours, as a whole
            server.settings = dict.fromkeys((*server.settings, *self.belongings.settings), "")
            self.restore()
