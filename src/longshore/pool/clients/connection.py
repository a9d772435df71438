"""A client's connection after its login: its session (shell over ``SessionEngine``)."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from longshore.pool.clients.model import Cancels, ClientLogin, Seen
from longshore.pool.failures import rejection, server_lost
from longshore.pool.inspection.inspect import usage_of
from longshore.pool.servers.leaving import leave
from longshore.pool.session.fast_lane import PARSE_COMPLETE, FastLane
from longshore.proto.postgres.constants import TransactionStatus
from longshore.proto.postgres.errors import violation_response
from longshore.proto.postgres.framing import frontend_reader
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from longshore.pool.pool import Pool
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.login_failed import LoginFailed
    from longshore.pool.session.engine import SessionEngine
    from longshore.pool.session.packing import Packed
    from longshore.pool.slots.model import RejectReason
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["Cancels", "ClientConnection", "ClientLogin", "Seen"]

_WHOLE_BYTES = {ord("Q"): 1024 * 1024, ord("P"): 1024 * 1024, ord("B"): 256 * 1024}
"""Longer ones are passed on as they come."""
_READER = frontend_reader(whole_bytes=_WHOLE_BYTES)
_TERMINATE = b"X\0\0\0\4"
_UNREAD_BYTES = 256 * 1024
"""So much of what a client sends is kept while it waits."""


class ClientConnection:
    """One client after its login: a protocol of asyncio, without its base class, because it is compiled when it can be.

    Args:
        transport: of the connection; ``take_over`` makes this its protocol.
        login: who it is.
        pool: where its server connections come from.
        engine: its session.
        on_gone: called once when the connection has ended.
    """

    _late_cancels: tuple[Callable[[], None], ...] = ()
    """Cancels that wait until the server has answered what the pool asked."""

    def __init__(
        self,
        transport: asyncio.Transport,
        login: ClientLogin,
        pool: Pool,
        engine: SessionEngine,
        on_gone: Callable[[ClientConnection], None],
    ) -> None:
        self.login = login
        self.session_id = login.session_id
        self._on_gone = on_gone
        self._pool = pool
        self._transport = transport
        self._engine = engine
        engine.on_wake = self._wake
        self._reader = _READER.another()
        self._lane = FastLane(engine)
        self._server: ServerConnection | None = None
        self._unread_bytes = 0
        self._is_queued = False  # for a server connection
        self._is_closed = False
        self._is_slow = False
        self.connected_at = self.asked_at = self.answered_at = monotonic()

    def take_over(self, rest: bytes) -> None:
        """Go on where the login ended; ``rest`` came behind it."""
        self._transport.set_protocol(self)  # type: ignore[arg-type]  # by its interface
        if rest:
            self.data_received(rest)

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what the client says."""
        self._pool.statistics.client_bytes += len(data)
        if self._server is None and not self._is_queued and (self._is_end(data) or self._answer_at_once(data)):
            return
        self._leave_lane()
        server = self._server
        if server is not None and not server.memory.relay.pending:
            self._pool.statistics.idle_in_transaction_s += monotonic() - self.answered_at
        try:
            self._engine.client_received(self._reader.receive_data(data))
            self._unread_bytes += len(data)
            self._flush()
        except ProtocolViolation as exc:
            self._end(violation_response(exc))

    def _is_end(self, data: bytes) -> bool:
        """Whether the client has said good-bye, and nothing else: then nobody else need hear of it."""
        engine = self._engine
        if data != _TERMINATE or not self._reader.is_between_messages or engine.has_arrears:
            return False
        engine.is_ended = True
        self._transport.close()
        return True

    def eof_received(self) -> None:
        """Take that the client will say nothing more: its session is over."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up after it, at whatever byte it left."""
        self._is_closed = True
        self._leave_lane()
        self._pool.forget(self.session_id)
        self._pool.listener.forget(self.session_id)
        self._let_go()
        self._on_gone(self)
        self._engine.end()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._is_slow = True
        if self._server is not None:
            self._server.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_slow = False
        if self._server is not None:
            self._server.resume_reading()
        elif self._engine.channels:
            self._engine.tell_notifications()
            self._flush()

    # -- the fast lane ---------------------------------------------------------------------------

    def _answer_at_once(self, data: bytes) -> bool:
        """Answer from the cache, or use the fast lane."""
        desk = self._engine.desk
        if desk is None or not self._reader.is_between_messages or (reply := desk.answer_repeated(data)) is None:
            return self._begin_lane(data)
        self._transport.write(reply)
        return True

    def _begin_lane(self, data: bytes) -> bool:
        """Ask for a server connection for something that the engine need not see; False: it has to."""
        lane = self._lane
        if lane.data is not None or not self._reader.is_between_messages or not lane.begin(data):
            return False
        self._is_queued = True
        self._pool.acquire(self, self.login.tenant)
        return True

    def _leave_lane(self, reply: bytes = b"") -> None:
        """Have the engine know what is on its way in the lane, as if it had sent it; and what was said to that."""
        lane = self._lane
        if lane.data is None:
            return
        server, is_sent, engine = self._server, lane.memory is not None, self._engine
        must_repeat = lane.must_repeat(reply)
        engine.client_received(self._reader.receive_data(lane.give_up()))
        if server is not None:
            server.lane = None
        if server is not None and is_sent:
            if must_repeat:
                engine.repeat(server.memory)
            else:
                server.memory.is_parse_left_out = lane.is_parse_left_out
                engine.attach(server.memory)
            engine.wire.to_server.clear()  # it has been

    def lane_reply(self, data: bytes) -> bool:
        """Take what the server says to what is in the lane; False: it is for the engine."""
        server = self._server
        assert server is not None
        lane = self._lane
        if not lane.finish(data):
            self._leave_lane(data)
            return False
        server.lane = None
        self._pool.statistics.queries += 1
        self._pool.statistics.transactions += 1
        self._give_back(server)
        self._transport.write(PARSE_COMPLETE + data if lane.is_parse_left_out else data)
        self._tell_rest()
        return True

    # -- the pool --------------------------------------------------------------------------------

    def server_assigned(self, server: ServerConnection) -> None:
        """Go on."""
        self._is_queued = False
        self._server = server
        self.asked_at = self._pool.asked_at
        server.holder = self
        if self._is_slow:
            server.pause_reading()
        lane = self._lane
        if lane.data is not None:
            sent = lane.send(server.memory) if server.is_between_messages else None
            if sent is not None:
                server.lane = self
                server.write(sent)
                return
            self._leave_lane()
        self._engine.attach(server.memory)
        self._flush()

    def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
        """Tell the client."""
        self._end(rejection(reason, waited_s, error, usage_of(self._pool)))

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        self._engine.server_received(events)
        self._flush()
        if self._late_cancels:
            self._cancel_late()
        if self._server is not None:  # in a transaction, or pinned
            self.answered_at = monotonic()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """The connection went in the middle of our work."""
        self._leave_lane()
        server, self._server = self._server, None
        assert server is not None
        if server.memory.relay.is_closed:  # the client was told by the server itself
            self._transport.close()
        else:
            self._end(server_lost(error))

    def listener_answered(self, is_done: bool) -> None:
        """Take that the pool's listener has done what the session asked for."""
        if not self._is_closed:
            self._engine.listener_answered(is_done)
            self._flush()

    def listener_lost(self) -> None:
        """Take that the session may have missed something."""
        self._engine.listener_lost()
        self._flush()

    def notified(self, raw: bytes) -> None:
        """Take a notification for the session."""
        if not self._is_closed:
            self._engine.notified(raw, is_slow=self._is_slow)
            self._flush()

    def cancel(self, on_done: Callable[[], None]) -> None:
        """Cancel what the session does now, wherever; ``on_done`` is called when nothing later can be hit."""
        self._leave_lane()
        if self._server is not None:
            if self._server.memory.relay.is_answering_pool:
                # It would hit what the pool asks: the client's query would run as if its settings had not been made.
                self._late_cancels = (*self._late_cancels, on_done)
            else:
                self._pool.cancel(self._server, on_done)
            return
        if self._engine.has_arrears and not self._is_closed:
            self._engine.cancel_waiting()
            self._pool.forget(self.session_id)
            self._is_queued = False
            self._flush()
        on_done()

    def _cancel_late(self) -> None:
        """Do what waited until the server has answered the pool."""
        if self._server is None or not self._server.memory.relay.is_answering_pool:
            late, self._late_cancels = self._late_cancels, ()
            for on_done in late:
                self.cancel(on_done)

    def join_cache(self) -> None:
        """Have the session ask the cache that its pool has got."""
        self._leave_lane()
        self._engine.join_cache()

    def pause_reading(self) -> None:
        """Take nothing more from the client."""
        if not self._is_closed:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if not self._is_closed:
            self._transport.resume_reading()

    @property
    def pool(self) -> Pool:
        """Where its server connections come from."""
        return self._pool

    def look(self) -> Seen:
        """Return what can be seen of it now."""
        self._leave_lane()
        return Seen(self._transport, self._engine, self._server, self._is_queued)

    def abort(self) -> None:
        """End it without a word."""
        if not self._is_closed:
            self._transport.abort()

    # -- for a process that ends, or hands its clients to another one ----------------------------

    @property
    def is_pinned(self) -> bool:
        """True while something of the session keeps it on its server connection."""
        return bool(self._engine.belongings.pins)

    @property
    def is_at_rest(self) -> bool:
        """True between two transactions: the client asked for nothing that was not answered."""
        self._leave_lane()
        if self._is_queued or not self._reader.is_between_messages:
            return False
        relay = self._server.memory.relay if self._server is not None else None
        return not self._engine.has_arrears and (
            relay is None or (relay.is_idle and relay.status is TransactionStatus.IDLE)
        )

    def packed(self) -> Packed | None:
        """Return the session as values, None when it cannot be moved now. No byte of it is in this process then."""
        is_quiet = self.is_at_rest and self._server is None and not self._is_closed
        if not is_quiet or self._transport.get_write_buffer_size() or self._transport.is_closing():
            return None
        return self._engine.packed()

    @property
    def transport(self) -> asyncio.Transport:
        """Of the connection."""
        return self._transport

    def end(self, error: ErrorResponse) -> None:
        """Tell the client why its session ends, and end it."""
        self._end(error)

    def _wake(self) -> None:
        """Go on where the session waited for the cache."""
        if not self._is_closed:
            self._flush()

    def _flush(self) -> None:
        """Send what the engine has to send, and do what it asks for."""
        engine, server = self._engine, self._server
        wire = engine.wire
        if wire.to_server:
            assert server is not None
            server.write(wire.to_server[0] if len(wire.to_server) == 1 else b"".join(wire.to_server))
            wire.to_server.clear()
        if engine.is_done and self._server is not None:
            engine.detach()
            self._release(self._server)
        if wire.to_client and not (engine.desk is not None and engine.desk.holds_output):
            data = wire.to_client[0] if len(wire.to_client) == 1 else b"".join(wire.to_client)
            wire.to_client.clear()
            self._transport.write(data)
        if engine.wants_listener:
            engine.wants_listener = False
            self._pool.listener.ask(self, engine.wanted)
        self._regulate(engine)
        if engine.failure is not None:
            self._end(engine.failure)
        elif engine.is_ended:
            self._transport.close()
        elif engine.wants_server and self._server is None:
            self._queue()

    def _queue(self) -> None:
        """Ask for a server connection, once."""
        if not self._is_queued:
            self._is_queued = True
            self._pool.acquire(self, self.login.tenant)

    def _regulate(self, engine: SessionEngine) -> None:
        """Keep what waits within bounds."""
        if not engine.has_arrears:
            if self._unread_bytes > _UNREAD_BYTES:
                self.resume_reading()
            self._unread_bytes = 0
        elif self._unread_bytes > _UNREAD_BYTES:
            self.pause_reading()

    def _release(self, server: ServerConnection) -> None:
        self._give_back(server)
        self._tell_rest()

    def _give_back(self, server: ServerConnection) -> None:
        self._server = None
        if self._is_slow:
            server.resume_reading()
        self._pool.release(server)

    def _tell_rest(self) -> None:
        """Tell whoever waits for the session to be at rest."""
        if self._pool.on_rest is not None:
            self._pool.on_rest(self)

    def _end(self, error: ErrorResponse) -> None:
        if not self._is_closed:
            self._transport.write(serialize(error))
            self._transport.close()
        self._let_go()

    def _let_go(self) -> None:
        """Give the server connection up, wherever it is."""
        self._leave_lane()
        if self._engine.desk is not None:
            self._engine.desk.close()
        server, self._server = self._server, None
        engine, pool = self._engine, self._pool
        late, self._late_cancels = self._late_cancels, ()
        for on_done in late:
            on_done()
        if server is None:
            return
        if engine.wire.to_server:
            server.write(b"".join(engine.wire.to_server))
            engine.wire.to_server.clear()
        if self._is_slow:
            server.resume_reading()
        memory, is_dirty = engine.abandon()
        if memory is None:
            pool.discard(server)
        else:
            leave(pool, server, memory, is_dirty=is_dirty, is_polite=engine.is_ended)
