"""A connection to the database: login, then a pipe to whoever has it (shell)."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING

from longshore.pool.server_memory import ServerMemory
from longshore.proto.postgres.auth import PlainPassword
from longshore.proto.postgres.auth_client import ClientAuthenticator, Credentials
from longshore.proto.postgres.backend_messages import BackendKeyData, ErrorResponse, ParameterStatus, ReadyForQuery
from longshore.proto.postgres.constants import PROTOCOL_3_0, BackendType
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.frontend_messages import StartupMessage
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize, serialize_startup
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from longshore.pool.target import Target
    from longshore.proto.postgres.framing import FrameEvent

    class Holder(Protocol):
        """Whoever has the connection."""

        def server_received(self, events: list[FrameEvent]) -> None:
            """Take messages."""

        def server_lost(self, error: ErrorResponse | None) -> None:
            """It is gone."""

        def pause_reading(self) -> None:
            """The server does not take more now."""

        def resume_reading(self) -> None:
            """It does again."""


__all__ = ["LoginFailed", "ServerConnection", "open_server"]

_PERMANENT = ("28", "3D")
"""Classes of SQLSTATE of a login that waiting does not mend."""


class LoginFailed(Exception):
    """The database did not let us in.

    Attributes:
        error: as it said it, None when there is no database there.
        is_permanent: waiting would not help.
    """

    def __init__(self, message: str, error: ErrorResponse | None = None) -> None:
        super().__init__(message)
        self.error = error
        self.is_permanent = error is not None and error.sqlstate[:2] in _PERMANENT


class ServerConnection(asyncio.Protocol):
    """One logged-in connection.

    Args:
        server_id: of the pool.
        target: where to.
        on_lost: called once when it ends while nobody has it.
    """

    def __init__(self, server_id: int, target: Target, on_lost: Callable[[ServerConnection], None]) -> None:
        self.server_id = server_id
        self.memory: ServerMemory | None = None
        self.holder: Holder | None = None
        self.last_error: ErrorResponse | None = None
        self._target = target
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reader = backend_reader()
        self._login: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._auth: ClientAuthenticator | None = None
        self._parameters: dict[bytes, bytes] = {}
        self._pid = 0
        self._key = b""
        self.is_closed = False

    async def wait_logged_in(self) -> None:
        """Wait for the end of the login.

        Raises:
            LoginFailed: there is none.

        Cancellation: close the connection then.
        """
        await self._login

    def write(self, data: bytes) -> None:
        """Send."""
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """End it; idempotent."""
        if self._transport is not None and not self.is_closed:
            self.is_closed = True
            if self.memory is not None and self.memory.relay.is_idle:
                self._transport.write(b"X\x00\x00\x00\x04")
                self._transport.close()
            else:
                self._transport.abort()

    def pause_reading(self) -> None:
        """Take nothing more from the server: the client does not keep up."""
        if self._transport is not None and not self.is_closed:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if self._transport is not None and not self.is_closed:
            self._transport.resume_reading()

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the login."""
        self._transport = transport  # type: ignore[assignment]  # uvloop has classes of its own
        target = self._target
        secret = PlainPassword(target.password.encode()) if target.password is not None else None
        nonce = base64.b64encode(os.urandom(18))
        self._auth = ClientAuthenticator(Credentials(target.user.encode(), secret), nonce=nonce)
        parameters = (
            (b"user", target.user.encode()),
            (b"database", target.database.encode()),
            (b"application_name", b"longshore"),
            (b"client_encoding", b"UTF8"),
        )
        self.write(serialize_startup(StartupMessage(parameters, PROTOCOL_3_0)))

    def data_received(self, data: bytes) -> None:
        """Pass messages on."""
        try:
            events = self._reader.receive_data(data)
            if self.memory is None:
                for event in events:
                    assert isinstance(event, Frame), "messages of the login are short"
                    self._take_login(event)
            elif self.holder is not None:
                self.holder.server_received(events)
            else:
                self._take_idle(events)
        except (ProtocolViolation, AuthenticationFailed) as exc:
            self._fail(LoginFailed(str(exc)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever has it."""
        self.is_closed = True
        if not self._login.done():
            self._login.set_exception(LoginFailed(f"the connection ended during the login: {exc or 'end of file'}"))
            return
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

    def _take_login(self, frame: Frame) -> None:
        assert self._auth is not None
        message = parse_backend(frame.type, frame.payload)
        match message:
            case ParameterStatus(name=name, value=value):
                self._parameters[name] = value
            case BackendKeyData(process_id=pid, secret_key=key):
                self._pid, self._key = pid, key
            case ErrorResponse():
                self._fail(LoginFailed(message.message, message))
            case ReadyForQuery():
                self.memory = ServerMemory(self.server_id, self._parameters, self._pid, self._key)
                if not self._login.done():
                    self._login.set_result(None)
            case _ if frame.type == BackendType.Authentication:
                answer = self._auth.receive(message)  # type: ignore[arg-type]  # by its type
                if answer is not None:
                    self.write(serialize(answer))

    def _take_idle(self, events: list[FrameEvent]) -> None:
        """Take what comes while nobody has the connection: parameters, notices, the reason of an end."""
        assert self.memory is not None
        for event in events:
            if not isinstance(event, Frame):
                continue
            if event.type == BackendType.ParameterStatus:
                name, _, value = event.raw[5:-1].partition(b"\0")
                self.memory.parameters[name] = value
            elif event.type == BackendType.ErrorResponse:
                message = parse_backend(event.type, event.payload)
                assert isinstance(message, ErrorResponse)
                self.last_error = message
                self.close()

    def _fail(self, error: LoginFailed) -> None:
        if not self._login.done():
            self._login.set_exception(error)
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()


async def open_server(server_id: int, target: Target, on_lost: Callable[[ServerConnection], None]) -> ServerConnection:
    """Connect and log in.

    Raises:
        LoginFailed: that was not possible.

    Cancellation: closes the connection.
    """
    loop = asyncio.get_running_loop()

    def make() -> ServerConnection:
        return ServerConnection(server_id, target, on_lost)

    try:
        if (path := target.unix_path) is not None:
            _, connection = await loop.create_unix_connection(make, path)
        else:
            _, connection = await loop.create_connection(make, target.host, target.port)
    except OSError as exc:
        raise LoginFailed(f"no connection to {target.host}:{target.port}: {exc.strerror or exc}") from exc
    try:
        await connection.wait_logged_in()
    except BaseException:
        connection.close()
        raise
    return connection
