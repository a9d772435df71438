"""One session of the admin database: both protocols for queries (PURE; manual: Message Flow).

``handle`` takes the client's messages one after the other, and awaits each command through ``execute``: PAUSE takes its
time. What is to be sent lies in ``to_client``. There are no transactions, and nothing fails a second time because
something failed before it: a command has either been done or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.commands import AdminError, Transaction
from longshore.pool.admin.parser import parse
from longshore.pool.admin.values import BINARY, TEXT, data_row, row_description
from longshore.proto.postgres import backend_messages as b
from longshore.proto.postgres import frontend_messages as f
from longshore.proto.postgres.constants import EXTENDED_QUERY_TYPES, TransactionStatus
from longshore.proto.postgres.errors import error_response, violation_response
from longshore.proto.postgres.parse_frontend import parse_frontend
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Sequence

    from longshore.pool.admin.commands import Command
    from longshore.pool.admin.values import Field, Row
    from longshore.proto.postgres.framing import Frame

__all__ = ["AdminSession", "Result"]

_MAX_KEPT: Final = 100
"""Prepared statements, and portals: enough for every driver, and no way to fill the memory."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gave."""

    tag: str
    rows: Sequence[Row] = ()


@dataclass(slots=True)
class _Portal:
    command: Command | None
    fields: Sequence[Field]
    formats: Sequence[int]
    result: Result | None = None
    rows: list[Row] = field(default_factory=list)
    """Still to be sent."""


class AdminSession:
    """One session.

    Args:
        execute: does a command; raises AdminError when it cannot be done.
        describe: returns the columns of what a command gives; none for a command that gives no rows.
        tables: what SHOW knows.
    """

    def __init__(
        self,
        execute: Callable[[Command], Awaitable[Result]],
        describe: Callable[[Command], Sequence[Field]],
        tables: Container[str],
    ) -> None:
        self.to_client: list[bytes] = []
        self.is_ended = False
        self._execute = execute
        self._describe_command = describe
        self._tables = tables
        self._status = TransactionStatus.IDLE
        self._statements: dict[bytes, Command | None] = {}
        self._portals: dict[bytes, _Portal] = {}
        self._is_skipping = False  # up to the next Sync

    async def handle(self, frame: Frame) -> None:
        """Take one message of the client.

        Cancellation: safe between commands; the command that runs is cancelled.
        """
        try:
            message = parse_frontend(frame.type, frame.payload)
        except ProtocolViolation as exc:
            self._send(violation_response(exc))
            self.is_ended = exc.is_fatal
            self._is_skipping |= frame.type in EXTENDED_QUERY_TYPES
            if not self._is_skipping and not self.is_ended:
                self._ready()
            return
        if isinstance(message, f.Terminate):
            self.is_ended = True
        elif isinstance(message, f.Sync):
            self._is_skipping = False
            if self._status is TransactionStatus.IDLE:
                self._portals.clear()
            self._ready()
        elif isinstance(message, f.Query):
            await self._query(message)
        elif not self._is_skipping:
            await self._extended(message)

    # -- simple ----------------------------------------------------------------------------------

    async def _query(self, message: f.Query) -> None:
        self._is_skipping = False
        try:
            commands = self._parse(message.query)
            if not commands:
                self._send(b.EmptyQueryResponse())
            for command in commands:
                result = await self._run(command)
                fields = self._describe_command(command)
                if fields:
                    self._send(row_description(fields))
                for row in result.rows:
                    self._send(data_row(fields, row))
                self._send(b.CommandComplete(result.tag.encode()))
        except AdminError as exc:
            self._fail(exc)
        self._ready()

    # -- extended --------------------------------------------------------------------------------

    async def _extended(self, message: f.FrontendMessage) -> None:
        try:
            match message:
                case f.Parse():
                    self._prepare(message)
                case f.Bind():
                    self._bind(message)
                case f.Describe():
                    self._describe(message)
                case f.Execute():
                    await self._run_portal(message)
                case f.Close(kind=kind, name=name):
                    (self._statements if kind == b"S" else self._portals).pop(name, None)
                    self._send(b.CloseComplete())
                case f.Flush() | f.CopyData() | f.CopyDone() | f.CopyFail():
                    pass  # a COPY that failed may still be on its way; there is none here
                case _:
                    raise AdminError("0A000", f"the admin database has no {type(message).__name__}")
        except AdminError as exc:
            self._fail(exc)
            self._is_skipping = message.type in EXTENDED_QUERY_TYPES
            if not self._is_skipping:
                self._ready()

    def _prepare(self, message: f.Parse) -> None:
        commands = self._parse(message.query)
        if len(commands) > 1:
            raise AdminError("42601", "cannot insert multiple commands into a prepared statement")
        if message.name and message.name in self._statements:
            raise AdminError("42P05", f"prepared statement {message.name.decode(errors='replace')!r} already exists")
        if len(self._statements) > _MAX_KEPT:
            raise AdminError("53400", f"more than {_MAX_KEPT} prepared statements", "close those that are not needed")
        self._statements[message.name] = commands[0] if commands else None
        self._send(b.ParseComplete())

    def _bind(self, message: f.Bind) -> None:
        command = self._statement(message.statement)
        fields = self._fields(command)
        if message.parameters:
            raise AdminError("08P01", f"bind message supplies {len(message.parameters)} parameters, but there are none")
        if not set(message.result_formats) <= {TEXT, BINARY}:
            raise AdminError("22023", f"there are only formats 0 and 1, not {list(message.result_formats)[:9]}")
        if len(message.result_formats) not in (0, 1, len(fields)):
            raise AdminError("08P01", f"{len(message.result_formats)} formats for {len(fields)} columns")
        if message.portal and message.portal in self._portals:
            raise AdminError("42P03", f"portal {message.portal.decode(errors='replace')!r} already exists")
        if len(self._portals) > _MAX_KEPT:
            raise AdminError("53400", f"more than {_MAX_KEPT} portals", "close those that are not needed")
        self._portals[message.portal] = _Portal(command, fields, message.result_formats)
        self._send(b.BindComplete())

    def _describe(self, message: f.Describe) -> None:
        if message.kind == b"S":
            fields = self._fields(self._statement(message.name))
            self._send(b.ParameterDescription())
            self._send(row_description(fields) if fields else b.NoData())
        else:
            portal = self._portal(message.name)
            self._send(row_description(portal.fields, portal.formats) if portal.fields else b.NoData())

    async def _run_portal(self, message: f.Execute) -> None:
        portal = self._portal(message.portal)
        if portal.command is None:
            self._send(b.EmptyQueryResponse())
            return
        if portal.result is None:
            portal.result = await self._run(portal.command)
            portal.rows = list(portal.result.rows)
        limit = message.max_rows if message.max_rows > 0 else len(portal.rows)
        now, portal.rows = portal.rows[:limit], portal.rows[limit:]
        for row in now:
            self._send(data_row(portal.fields, row, portal.formats))
        self._send(b.PortalSuspended() if portal.rows else b.CommandComplete(portal.result.tag.encode()))

    # -- both ------------------------------------------------------------------------------------

    def _parse(self, text: bytes) -> list[Command]:
        try:
            return parse(text.decode(), self._tables)
        except UnicodeDecodeError:
            raise AdminError("22021", "invalid byte sequence for encoding UTF8") from None

    async def _run(self, command: Command) -> Result:
        if isinstance(command, Transaction):
            is_begin = command.tag.startswith(("BEGIN", "START"))
            self._status = TransactionStatus.IN_TRANSACTION if is_begin else TransactionStatus.IDLE
            return Result(command.tag)
        return await self._execute(command)

    def _fields(self, command: Command | None) -> Sequence[Field]:
        return () if command is None else self._describe_command(command)

    def _statement(self, name: bytes) -> Command | None:
        if name not in self._statements:
            raise AdminError("26000", f"prepared statement {name.decode(errors='replace')!r} does not exist")
        return self._statements[name]

    def _portal(self, name: bytes) -> _Portal:
        if name not in self._portals:
            raise AdminError("34000", f"portal {name.decode(errors='replace')!r} does not exist")
        return self._portals[name]

    def _fail(self, error: AdminError) -> None:
        self._send(error_response("ERROR", error.sqlstate, error.message, hint=error.hint))

    def _ready(self) -> None:
        self._send(b.ReadyForQuery(self._status))

    def _send(self, message: b.BackendMessage) -> None:
        self.to_client.append(serialize(message))
