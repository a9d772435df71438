"""A client's connection to the admin database, after its authentication (shell over ``AdminSession``)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import deque
from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.pool.admin.access import ADMIN_DATABASES, Rights, admin_refused
from longshore.pool.admin.admin import Admin, describe
from longshore.pool.admin.commands import AdminError, Command
from longshore.pool.admin.session import AdminSession, Result
from longshore.pool.admin.shows import SHOWS
from longshore.pool.admin.small_talk import PARAMETERS
from longshore.pool.failures import shutting_down
from longshore.proto.postgres.backend_messages import BackendKeyData, ParameterStatus, ReadyForQuery
from longshore.proto.postgres.constants import TransactionStatus
from longshore.proto.postgres.errors import error_response, violation_response
from longshore.proto.postgres.framing import Frame, FrameEvent, frontend_reader
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.admin.access import Access
    from longshore.pool.admin.host import AdminHost
    from longshore.pool.pools import Pools
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.startup import ClientStarted

__all__ = ["AdminConnection", "AdminDoor"]

_MAX_UNDONE: Final = 100
"""So many messages may wait for the one that is worked on."""
_GOOD_BYE_S: Final = 1.0
"""So long may a client take to read that the pool ends."""
_PID_BASE: Final = 0x20000000
"""No process id of a client of a pool begins like this."""
_ids = itertools.count(1)


class AdminDoor:
    """Where the admin database is entered; one for a process.

    Args:
        pools: what it is about.
        host: the process around them.
        access: who may do what.
    """

    def __init__(self, pools: Pools, host: AdminHost, access: Access) -> None:
        self.admin = Admin(pools, host)
        self.access = access
        self.connections: set[AdminConnection] = set()
        self._cancels = pools.cancels
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @staticmethod
    def answers(database: str) -> bool:
        """Return whether that is the admin database's name."""
        return database in ADMIN_DATABASES

    def refusal(self, user: str) -> ErrorResponse | None:
        """Return what to tell a user who may not even look; to be asked after the authentication."""
        return admin_refused(user) if self.access.rights(user) is None else None

    def open(self, started: ClientStarted, transport: asyncio.Transport) -> AdminConnection:
        """Return the protocol of a connection whose client has been told AuthenticationOk; see ``take_over``."""
        return AdminConnection(self, started, transport)

    def add(self, connection: AdminConnection) -> None:
        """Note that somebody came."""
        self.connections.add(connection)
        self._is_empty.clear()
        self._cancels[connection.key] = connection

    def remove(self, connection: AdminConnection) -> None:
        """Note that he went."""
        self.connections.discard(connection)
        if not self.connections:
            self._is_empty.set()
        self._cancels.pop(connection.key, None)

    async def aclose(self) -> None:
        """End every connection; who does not take the word is cut off.

        Cancellation: safe.
        """
        for connection in list(self.connections):
            connection.end(shutting_down())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOOD_BYE_S):
                await self._is_empty.wait()
        for connection in list(self.connections):
            connection.abort()
        await self._is_empty.wait()


class AdminConnection(asyncio.Protocol):
    """One client of the admin database.

    Args:
        door: where it came in.
        started: what it wants.
        transport: of the connection.
    """

    def __init__(self, door: AdminDoor, started: ClientStarted, transport: asyncio.Transport) -> None:
        self.key = (_PID_BASE | next(_ids), os.urandom(4))
        """Process id and secret of its CancelRequest."""
        self._door = door
        self._started = started
        self._transport = transport
        self._rights = door.access.rights(started.user.decode(errors="replace")) or Rights.SHOW
        self._reader = frontend_reader()
        self._session = AdminSession(self._execute, describe, SHOWS)
        self._undone: deque[Frame] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._command: asyncio.Task[Result] | None = None
        self._is_closed = False
        self._can_write = asyncio.Event()
        self._can_write.set()

    def take_over(self, rest: bytes) -> None:
        """Go on where the authentication ended.

        Args:
            rest: what came behind the StartupMessage.
        """
        parameters = dict(self._started.parameters)
        told = PARAMETERS | {
            "session_authorization": self._started.user.decode(errors="replace"),
            "application_name": parameters.get(b"application_name", b"").decode(errors="replace"),
        }
        out = [serialize(ParameterStatus(name.encode(), value.encode())) for name, value in told.items()]
        out += (serialize(BackendKeyData(*self.key)), serialize(ReadyForQuery(TransactionStatus.IDLE)))
        self._door.add(self)
        self._transport.write(b"".join(out))
        self._transport.set_protocol(self)
        if rest:
            self.data_received(rest)

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what the client says."""
        try:
            events = self._reader.receive_data(data)
        except ProtocolViolation as exc:
            self.end(violation_response(exc))
            return
        for event in events:
            self._take(event)
        if len(self._undone) > _MAX_UNDONE:
            self._transport.pause_reading()
        if self._worker is None and self._undone:
            self._worker = spawn(self._work(), name="longshore admin", on_done=self._worked)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is still to be done."""
        self._is_closed = True
        self._can_write.set()
        self._undone.clear()
        if self._worker is None:
            self._door.remove(self)
        elif self._command is not None:
            self._command.cancel()

    def pause_writing(self) -> None:
        """Do nothing more until the client takes what it asked for."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._can_write.set()

    @property
    def is_writable(self) -> bool:
        """Whether the client takes what it asked for."""
        return self._can_write.is_set()

    @property
    def unsent_bytes(self) -> int:
        """How much of that is kept here."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """End it without a word."""
        self._transport.abort()

    def cancel(self, on_done: Callable[[], None]) -> None:
        """Cancel the command that runs."""
        if self._command is not None:
            self._command.cancel()
        on_done()

    # -- work ------------------------------------------------------------------------------------

    def _take(self, event: FrameEvent) -> None:
        if isinstance(event, Frame):
            self._undone.append(event)
        else:
            self.end(error_response("FATAL", "54000", "a message for the admin database is not that long"))

    async def _work(self) -> None:
        """Do what was asked, one after the other.

        Cancellation: none; an ended connection cancels the command.
        """
        session = self._session
        while self._undone and not session.is_ended:
            await session.handle(self._undone.popleft())
            if not self._is_closed:
                self._transport.write(b"".join(session.to_client))
                session.to_client.clear()
                await self._can_write.wait()
            session.to_client.clear()
            if not self._is_closed:
                self._transport.resume_reading()

    def _worked(self, worker: asyncio.Task[None]) -> None:
        self._worker = None
        if self._is_closed:
            self._door.remove(self)
        if worker.cancelled() or worker.exception() is not None:
            self._report(worker)
            self.end(error_response("FATAL", "XX000", "this is a defect of Longshore", hint="its log says more"))
        elif self._session.is_ended:
            self._transport.close()
        elif self._undone:  # it came at the last moment
            self.data_received(b"")

    @staticmethod
    def _report(worker: asyncio.Task[None]) -> None:
        """Let the loop's exception handler log a defect."""
        if not worker.cancelled():
            context = {"message": "a command of the admin database failed", "exception": worker.exception()}
            worker.get_loop().call_exception_handler(context)

    async def _execute(self, command: Command) -> Result:
        self._command = spawn(self._door.admin.execute(command, self._rights), name="longshore admin command")
        try:
            return await self._command
        except asyncio.CancelledError:
            raise AdminError("57014", "canceling statement due to user request", "nothing is changed") from None
        finally:
            self._command = None

    def end(self, error: ErrorResponse) -> None:
        """Say why, and close."""
        self._undone.clear()
        self._session.is_ended = True
        if not self._is_closed:
            self._transport.write(serialize(error))
            self._transport.close()
