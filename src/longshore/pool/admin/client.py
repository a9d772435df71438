"""A client of an admin database: asks for tables, gets their rows (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.pool.servers.key_cache import KeyCache
from longshore.pool.servers.login import open_server
from longshore.proto.postgres.backend_messages import DataRow, ErrorResponse, RowDescription
from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.target import Target
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["AdminAnswer", "AdminClient", "AdminFailed"]

_MAX_ROW_BYTES: Final = 1024 * 1024

AdminAnswer: TypeAlias = "list[dict[str, str]]"
"""The rows: name of the column → text; NULL is empty."""


class AdminFailed(Exception):
    """The admin database did not do it, or is gone; the message is for a person.

    Attributes:
        hint: what to do, or empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class AdminClient:
    """One connection; see ``connect``."""

    def __init__(self) -> None:
        self._connection: ServerConnection | None = None
        self._frames: list[Frame] = []
        self._reader = backend_reader(max_whole_bytes=_MAX_ROW_BYTES)
        self._answered: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, target: Target) -> AdminClient:
        """Log in.

        Raises:
            LoginFailed: that was not possible.

        Cancellation: safe.
        """
        client = cls()
        client._connection = await open_server(0, target, lambda _: None, keys=KeyCache())
        client._connection.holder = client
        return client

    async def ask(self, command: str) -> AdminAnswer:
        """Give a command.

        Raises:
            AdminFailed: it was refused, or the connection is gone.

        Cancellation: close the client then.
        """
        connection = self._connection
        if connection is None or connection.is_closed:
            raise AdminFailed("the admin database closed the connection")
        self._frames = []
        self._answered = asyncio.get_running_loop().create_future()
        connection.write(serialize(Query(command.encode())))
        await self._answered
        return _rows(self._frames)

    def close(self) -> None:
        """End the connection; idempotent."""
        if self._connection is not None:
            self._connection.close()

    # -- what a ServerConnection calls -----------------------------------------------------------

    def server_received(self, events: Iterable[FrameEvent]) -> None:
        """Take messages."""
        # A ServerConnection may put rows together, which a pool need not look at.
        for frame in self._reader.receive_data(b"".join(event.raw for event in events)):
            if isinstance(frame, Frame):
                self._frames.append(frame)
                if frame.type == BackendType.ReadyForQuery:
                    self._finish(None)

    def server_lost(self, error: ErrorResponse | None) -> None:
        """It is gone."""
        said = [frame for frame in self._frames if frame.type == BackendType.ErrorResponse]
        if said and isinstance(last := parse_backend(said[-1].type, said[-1].payload), ErrorResponse):
            error = last
        self._finish(AdminFailed(error.message if error is not None else "the admin database closed the connection"))

    def pause_reading(self) -> None:
        """Nothing: what is asked is short."""

    def resume_reading(self) -> None:
        """The same."""

    def _finish(self, error: AdminFailed | None) -> None:
        answered, self._answered = self._answered, None
        if answered is None or answered.done():
            return
        if error is None:
            answered.set_result(None)
        else:
            answered.set_exception(error)


def _rows(frames: Iterable[Frame]) -> AdminAnswer:
    """Read an answer.

    Raises:
        AdminFailed: it is an error.
    """
    names: list[str] = []
    rows: AdminAnswer = []
    for frame in frames:
        message = parse_backend(frame.type, frame.payload)
        match message:
            case RowDescription(fields=fields):
                names, rows = [field.name.decode() for field in fields], []
            case DataRow(values=values):
                texts = ("" if value is None else value.decode() for value in values)
                rows.append(dict(zip(names, texts, strict=True)))
            case ErrorResponse():
                raise AdminFailed(message.message, message.hint or "")
    return rows
