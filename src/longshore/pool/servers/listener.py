"""The connection of a pool that listens for all its sessions (shell over ``Channels``).

It is opened when the first session listens and closed when none does any more; it stands beside the pool's other
connections and counts as none of them. When it is lost, so may be notifications: the sessions that listen are ended,
as they would be if each had lost a connection of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.session.channels import Channels
from longshore.proto.postgres.constants import BackendType, FrontendType
from longshore.proto.postgres.framing import Frame
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Protocol

    from longshore.pool.servers.connection import ServerConnection
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

    class Hearer(Protocol):
        """A session that listens."""

        session_id: int

        def listener_answered(self, is_done: bool) -> None:
            """Take the answer to what it asked."""

        def listener_lost(self) -> None:
            """Take that notifications may be lost."""

        def notified(self, raw: bytes) -> None:
            """Take a NotificationResponse."""


__all__ = ["Listener"]

_HEAD_BYTES = 9  # of a NotificationResponse, up to the channel


class Listener:
    """Listens for the sessions of one pool.

    Args:
        connect: opens a connection; its argument is called when the connection is lost.
        run: runs a coroutine in the background.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[ServerConnection], None]], Awaitable[ServerConnection]],
        run: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._connect = connect
        self._run = run
        self._channels = Channels()
        self._hearers: dict[int, Hearer] = {}
        self._server: ServerConnection | None = None
        self._is_opening = False
        self._is_in_flight = False
        self._has_failed = False

    def ask(self, hearer: Hearer, channels: frozenset[str]) -> None:
        """Listen to these channels, and no others, for a session; ``listener_answered`` follows."""
        self._hearers[hearer.session_id] = hearer
        self._channels.ask(hearer.session_id, channels)
        if self._server is not None:
            self._send_next()
        elif not self._is_opening:
            self._is_opening = True
            self._run(self._open())

    def forget(self, session_id: int) -> None:
        """Listen no longer for a session; idempotent."""
        if self._hearers.pop(session_id, None) is not None:
            self._channels.forget(session_id)
            self._close_if_idle()

    def close(self) -> None:
        """Close the connection, when there is one; nobody is told."""
        server, self._server = self._server, None
        if server is not None:
            server.holder = None
            server.close()

    async def _open(self) -> None:
        try:
            server = await self._connect(self._on_closed)
        except LoginFailed:
            for session_id in self._channels.sessions:
                self._answer(session_id, is_done=False)
            return
        finally:
            self._is_opening = False
        server.holder = self
        self._server = server
        self._send_next()
        self._close_if_idle()

    def _on_closed(self, _: ServerConnection) -> None:
        """Nothing: ``server_lost`` has told it."""

    def _send_next(self) -> None:
        if self._server is None or self._is_in_flight or not (sql := self._channels.next_query()):
            return
        self._is_in_flight, self._has_failed = True, False
        self._server.memory.relay.pool_sent(FrontendType.Query)
        self._server.write(serialize(Query(sql.encode())))

    def _answer(self, session_id: int, *, is_done: bool) -> None:
        hearer = self._hearers.get(session_id)
        if not is_done:
            self._channels.forget(session_id)
            self._hearers.pop(session_id, None)
        if hearer is not None:
            hearer.listener_answered(is_done)

    def _close_if_idle(self) -> None:
        if self._channels.is_empty and not self._is_in_flight:
            self._hearers.clear()
            self._channels = Channels()  # a new connection listens to nothing
            self.close()

    # -- as the holder of the connection ---------------------------------------------------------

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages of the server."""
        assert self._server is not None
        memory = self._server.memory
        for event in events:
            if not isinstance(event, Frame):
                continue  # no message that we wait for is so long
            status = event.raw[5] if event.type == BackendType.ReadyForQuery else 0
            memory.relay.server_sent(event.type, status)
            if event.type == BackendType.NotificationResponse:
                self._notify(event.raw)
            elif event.type == BackendType.ErrorResponse:
                self._has_failed = True
            elif event.type == BackendType.ReadyForQuery:
                self._finish_query()

    def _notify(self, raw: bytes) -> None:
        channel, end, _ = raw[_HEAD_BYTES:].partition(b"\0")
        if not end:
            raise ProtocolViolation("malformed", message_type=raw[0], is_fatal=True)
        for session_id in self._channels.hearers(channel.decode(errors="replace")):
            self._hearers[session_id].notified(raw)

    def _finish_query(self) -> None:
        self._is_in_flight = False
        for session_id in self._channels.answered(is_done=not self._has_failed):
            self._answer(session_id, is_done=not self._has_failed)
        self._send_next()
        self._close_if_idle()

    def server_lost(self, error: ErrorResponse | None) -> None:
        """End the sessions that listen."""
        self._server, self._is_in_flight = None, False
        hearers, self._hearers, self._channels = self._hearers, {}, Channels()
        for hearer in hearers.values():
            hearer.listener_lost()

    def pause_reading(self) -> None:
        """Nobody writes much."""

    def resume_reading(self) -> None:
        """Nobody writes much."""
