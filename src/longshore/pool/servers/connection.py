"""A connection to the database after its login: a pipe to whoever has it (shell)."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from longshore.pool.statistics import Statistics
from longshore.proto.postgres.backend_messages import ErrorResponse
from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.framing import BULK_TYPES, Frame, backend_reader
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from longshore.pool.servers.holder import Holder, Lane
    from longshore.pool.servers.target import UpstreamTls
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["ServerConnection"]


class ServerConnection:
    """One logged-in connection: a protocol of asyncio, without its base class, because it is compiled when it can be.

    Args:
        transport: of the connection; ``take_over`` makes this its protocol.
        memory: what is known about it.
        on_lost: called once when it ends.
    """

    def __init__(
        self, transport: asyncio.Transport, memory: ServerMemory, on_lost: Callable[[ServerConnection], None]
    ) -> None:
        self.server_id = memory.server_id
        self.memory = memory
        self.holder: Holder | None = None
        self.last_error: ErrorResponse | None = None
        self.lane: Lane | None = None
        """Who waits for an answer that the holder's engine need not see."""
        self.is_closed = False
        self.connected_at = self.assigned_at = monotonic()
        self.statistics = Statistics()
        """Of the pool; before that one of its own, which nobody reads."""
        self.place: tuple[str, int, UpstreamTls] | None = None
        """Host, port and encryption; None until ``open_server`` is done."""
        self._on_lost = on_lost
        self._transport = transport
        self._reader = backend_reader(merged=BULK_TYPES)

    def take_over(self, rest: bytes) -> None:
        """Go on where the login ended; ``rest`` came behind it."""
        self._transport.set_protocol(self)  # type: ignore[arg-type]  # by its interface
        if rest:
            self.data_received(rest)

    @property
    def is_between_messages(self) -> bool:
        """True when no part of a message lies here."""
        return self._reader.is_between_messages

    @property
    def transport(self) -> asyncio.Transport:
        """To be looked at only."""
        return self._transport

    def write(self, data: bytes) -> None:
        """Send."""
        self._transport.write(data)

    def close(self) -> None:
        """End it; idempotent."""
        if not self.is_closed:
            self.is_closed = True
            if self.memory.relay.is_idle:
                self._transport.write(b"X\x00\x00\x00\x04")
                self._transport.close()
            else:
                self._transport.abort()

    def pause_reading(self) -> None:
        """Take nothing more from the server: the client does not keep up."""
        if not self.is_closed:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if not self.is_closed:
            self._transport.resume_reading()

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Pass messages on."""
        self.statistics.server_bytes += len(data)
        lane = self.lane
        if lane is not None and lane.lane_reply(data):
            return
        try:
            events = self._reader.receive_data(data)
            if self.holder is not None:
                self.holder.server_received(events)
            else:
                self._take_idle(events)
        except ProtocolViolation:
            self.is_closed = True
            self._transport.abort()

    def eof_received(self) -> None:
        """Take that nothing more will come: the connection ends."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever has it."""
        self.is_closed = True
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.server_lost(self.last_error)
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The server does not keep up."""
        if self.holder is not None:
            self.holder.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.holder is not None:
            self.holder.resume_reading()

    def _take_idle(self, events: list[FrameEvent]) -> None:
        """Take what comes while nobody has the connection: parameters, notices, the reason of an end."""
        for event in events:
            if not isinstance(event, Frame):
                continue
            if event.type == BackendType.ParameterStatus:
                name, _, value = event.raw[5:].partition(b"\0")
                value = value.removesuffix(b"\0")
                self.memory.parameters[name] = value
            elif event.type == BackendType.ErrorResponse:
                message = parse_backend(event.type, event.payload)
                assert isinstance(message, ErrorResponse)
                self.last_error = message
                self.close()
