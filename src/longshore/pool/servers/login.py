"""Connect and log in to a database; then the connection is a ``ServerConnection`` (shell)."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING, TypeAlias

from longshore.aio.tasks import spawn
from longshore.pool.servers.connection import ServerConnection
from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.encryption import open_transport, shown_place
from longshore.pool.servers.login_failed import LoginFailed, explained
from longshore.pool.servers.target import TlsMode, UpstreamTls
from longshore.pool.servers.writability import READ_ONLY_QUERY, Writability
from longshore.pool.session.server_memory import ServerMemory
from longshore.proto.postgres.auth import PlainPassword
from longshore.proto.postgres.auth_client import ClientAuthenticator, Credentials
from longshore.proto.postgres.backend_messages import (
    AuthenticationMessage,
    AuthenticationSASLContinue,
    BackendKeyData,
    ErrorResponse,
    ParameterStatus,
    ReadyForQuery,
)
from longshore.proto.postgres.channel_binding import CertificateError, server_end_point
from longshore.proto.postgres.constants import PROTOCOL_3_0, BackendType
from longshore.proto.postgres.frontend_messages import StartupMessage
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.scram_client import read_challenge
from longshore.proto.postgres.serialize import serialize, serialize_startup
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation
from longshore.proto.postgres.wire import HEADER, LENGTH_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from longshore.pool.servers.dialing import ServerDialer
    from longshore.pool.servers.key_cache import KeyCache
    from longshore.pool.servers.target import Target
    from longshore.proto.postgres.auth import Md5Hash
    from longshore.proto.postgres.scram import ScramKeys

__all__ = ["LoginFailed", "LoginSecret", "ServerLogin", "open_server"]

_MAX_MESSAGE_BYTES = 64 * 1024
"""No message of a login is longer."""
_MAX_LOGIN_BYTES = 1024 * 1024
"""Nor are all of them together."""
_PLAIN = UpstreamTls(mode=TlsMode.DISABLE)

LoginSecret: TypeAlias = "PlainPassword | Md5Hash | ScramKeys | None"
"""With what an account logs in."""


class ServerLogin(asyncio.Protocol):
    """The login on one connection, which is encrypted already if it is to be.

    Args:
        transport: of the connection.
        server_id: of the pool.
        target: where to, and as whom.
        secret: with what.
        keys: of SCRAM.
        on_lost: of the ``ServerConnection``.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        server_id: int,
        target: Target,
        secret: LoginSecret,
        keys: KeyCache,
        on_lost: Callable[[ServerConnection], None],
    ) -> None:
        self.is_asked = False
        """Whether the server has said more than an error."""
        self._done: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._server_id = server_id
        self._target = target
        self._secret = secret
        self._keys = keys
        self._on_lost = on_lost
        self._auth = ClientAuthenticator(
            Credentials(target.user.encode(), secret),
            nonce=base64.b64encode(os.urandom(18)),
            binding=_end_point(transport),
            derive=self._derived,
        )
        self._parameters: dict[bytes, bytes] = {}
        self._pid = 0
        self._key = b""
        self._unread = bytearray()
        self._received_bytes = 0
        self._writability = Writability() if target.is_primary_wanted else None
        self._derivation: asyncio.Task[None] | None = None

    async def run(self) -> ServerConnection:
        """Log in.

        Raises:
            LoginFailed: the server does not let us in.

        Cancellation: closes the connection.
        """
        self._transport.set_protocol(self)
        self._transport.write(serialize_startup(StartupMessage(_parameters(self._target), PROTOCOL_3_0)))
        try:
            connection = await self._done
        except BaseException:
            self._transport.abort()
            raise
        finally:
            if self._derivation is not None:
                self._derivation.cancel()
        if connection.is_closed:
            raise LoginFailed("the connection ended right after the login")
        return connection

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take messages of the server."""
        self._unread += data
        self._received_bytes += len(data)
        if self._received_bytes > _MAX_LOGIN_BYTES and not self._done.done():
            self._fail(LoginFailed(f"the server sent more than {_MAX_LOGIN_BYTES} bytes in a login"))
            return
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail."""
        self._fail(LoginFailed(f"the connection ended during the login: {exc or 'end of file'}"))

    def _advance(self) -> None:
        try:
            while not self._done.done() and self._derivation is None and self._take_next():
                pass
        except (ProtocolViolation, AuthenticationFailed) as exc:
            self._fail(LoginFailed(str(exc), is_permanent=isinstance(exc, AuthenticationFailed)))

    def _take_next(self) -> bool:
        """Take the next message; False when it is not complete."""
        unread = self._unread
        if len(unread) < HEADER.size:
            return False
        message_type, length = HEADER.unpack_from(unread)
        if not LENGTH_BYTES <= length <= _MAX_MESSAGE_BYTES:
            raise ProtocolViolation(f"message of {length} bytes in a login", message_type=message_type, is_fatal=True)
        if len(unread) < length + 1:
            return False
        payload = bytes(unread[HEADER.size : length + 1])
        del unread[: length + 1]
        self._take(message_type, payload)
        return True

    def _take(self, message_type: int, payload: bytes) -> None:
        message = parse_backend(message_type, payload)
        if isinstance(message, ErrorResponse):
            self._fail(LoginFailed(explained(message), message))
            return
        self.is_asked = True
        match message:
            case ParameterStatus(name=name, value=value):
                self._parameters[name] = value
            case BackendKeyData(process_id=pid, secret_key=key):
                self._pid, self._key = pid, key
            case ReadyForQuery():
                self._take_ready()
            case _ if message_type == BackendType.Authentication:
                self._take_authentication(message)  # type: ignore[arg-type]  # by its type
            case _ if self._writability is not None:
                self._writability.receive(message)

    def _take_authentication(self, message: AuthenticationMessage) -> None:
        """Answer, at once or when a thread has made the keys."""
        if isinstance(message, AuthenticationSASLContinue) and isinstance(self._secret, PlainPassword):
            challenge = read_challenge(message.data)
            if self._keys.find(self._secret.password, challenge.salt, challenge.iterations) is None:
                work = self._derive(message, self._secret.password, challenge.salt, challenge.iterations)
                self._derivation = spawn(work, name="longshore scram keys", on_done=lambda _: None)
                return
        answer = self._auth.receive(message)
        if answer is not None:
            self._transport.write(serialize(answer))

    async def _derive(self, message: AuthenticationSASLContinue, password: bytes, salt: bytes, iterations: int) -> None:
        await self._keys.derive(password, salt, iterations)
        self._derivation = None
        if not self._done.done():
            self._take_authentication(message)
            self._advance()

    def _derived(self, password: bytes, salt: bytes, iterations: int) -> ScramKeys:
        found = self._keys.find(password, salt, iterations)
        assert found is not None, "they were made before"
        return found

    def _take_ready(self) -> None:
        """Hand over, or see first whether this is the server that is wanted."""
        if self._writability is not None:
            is_writable = self._writability.judge(self._parameters)
            if is_writable is None:
                self._transport.write(READ_ONLY_QUERY)
                return
            if not is_writable:
                self._transport.write(b"X\x00\x00\x00\x04")
                self._fail(LoginFailed("it takes no writes, and a primary is wanted"))
                return
        # At once: the server may say more, or leave, at any time.
        memory = ServerMemory(self._server_id, self._parameters, self._pid, self._key)
        connection = ServerConnection(self._transport, memory, self._on_lost)
        self._done.set_result(connection)
        connection.take_over(bytes(self._unread))
        self._unread.clear()

    def _fail(self, error: LoginFailed) -> None:
        if not self._done.done():
            self._done.set_exception(error)
            self._done.exception()  # who waits for it may be gone
        self._transport.close()


def _parameters(target: Target) -> tuple[tuple[bytes, bytes], ...]:
    pairs = [("user", target.user), ("database", target.database), ("client_encoding", "UTF8")]
    if target.application_name:
        pairs.append(("application_name", target.application_name))
    if target.options:
        pairs.append(("options", target.options))
    return tuple((name.encode(), value.encode()) for name, value in pairs)


def _end_point(transport: asyncio.Transport) -> bytes | None:
    """Return what binds a login to the TLS connection below it; None where there is no such thing."""
    tls = transport.get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert(True)
    try:
        return None if certificate is None else server_end_point(certificate)
    except CertificateError:
        return None


async def open_server(
    server_id: int,
    target: Target,
    on_lost: Callable[[ServerConnection], None],
    *,
    secret: LoginSecret = None,
    keys: KeyCache,
    dialer: ServerDialer = DIRECT,
) -> ServerConnection:
    """Connect to the first host that will do, and log in.

    Args:
        server_id: of the pool.
        target: where to, and as whom.
        on_lost: is told of the end of the connection.
        secret: with what, when ``target.password`` is None.
        keys: of SCRAM, as far as they are known.
        dialer: opens the connection.

    Raises:
        LoginFailed: no host let us in.

    Cancellation: closes the connection.
    """
    if target.password is not None:
        secret = PlainPassword(target.password.encode())
    failures: list[tuple[str, LoginFailed]] = []
    for host, port in target.places:
        login = _Attempt(server_id, target, on_lost, secret, keys, dialer)
        try:
            return await login.run(host, port)
        except LoginFailed as exc:
            failures.append((shown_place(host, port), exc))
            if exc.is_permanent:
                break
    raise _summary(failures)


class _Attempt:
    """One host."""

    def __init__(
        self,
        server_id: int,
        target: Target,
        on_lost: Callable[[ServerConnection], None],
        secret: LoginSecret,
        keys: KeyCache,
        dialer: ServerDialer,
    ) -> None:
        self._server_id = server_id
        self._target = target
        self._on_lost = on_lost
        self._secret = secret
        self._keys = keys
        self._dialer = dialer
        self._is_connected = self._is_asked = False

    async def dial(self, host: str, port: int) -> socket.socket:
        """Connect, and note that there is somebody; see ``ServerDialer``."""
        sock = await self._dialer.dial(host, port)
        self._is_connected = True
        return sock

    async def run(self, host: str, port: int) -> ServerConnection:
        """Return the connection; see ``open_server``."""
        target, place = self._target, shown_place(host, port)
        try:
            async with asyncio.timeout(target.connect_timeout_s):
                try:
                    return await self._log_in(host, port, target.tls)
                except LoginFailed:
                    is_other_way = target.tls.mode is TlsMode.PREFER and not host.startswith("/")
                    if not is_other_way or self._is_asked or not self._is_connected:
                        raise
                    # As libpq has it: "prefer" tries again without TLS when the server wants nothing of us with it.
                    return await self._log_in(host, port, _PLAIN)
        except TimeoutError as exc:
            limit = f"{target.connect_timeout_s:g} s"
            reason = f"{place} did not let us in within {limit}; is it overloaded, or does a firewall drop packets?"
            raise LoginFailed(reason) from exc

    async def _log_in(self, host: str, port: int, tls: UpstreamTls) -> ServerConnection:
        transport = await open_transport(host, port, tls, self)
        login = ServerLogin(transport, self._server_id, self._target, self._secret, self._keys, self._on_lost)
        try:
            connection = await login.run()
        finally:
            self._is_asked = login.is_asked
        connection.place = (host, port, tls)
        return connection


def _summary(failures: list[tuple[str, LoginFailed]]) -> LoginFailed:
    if len(failures) == 1:
        return failures[0][1]
    said = "; ".join(f"{place}: {failure}" for place, failure in failures)
    last = failures[-1][1]
    return LoginFailed(f"no host lets us in: {said}", last.error, is_permanent=last.is_permanent)
