"""A client's connection until its session begins: start-up packet, encryption, authentication, settings (shell).

    start-up packet ──► (TLS ──► start-up packet) ──► authentication ──► settings ──► ClientConnection

What comes behind a message that is worked on is kept, and handed on in the end. Whoever has not proved who it is may
keep us busy for ``login_timeout_s``, with so many bytes, and learns nothing of users and databases.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.pool.clients.auth import ClientAuth
from longshore.pool.clients.door import ClientDoor, RefusedLogin
from longshore.pool.clients.entry import let_in
from longshore.pool.clients.login_trial import LoginTrial
from longshore.pool.clients.peer import peer_of, shown_peer
from longshore.pool.clients.tls import ClientTlsMode
from longshore.pool.refusals import PoolRefused
from longshore.pool.servers.tls import ALPN
from longshore.pool.servers.tls_transport import TlsTransport
from longshore.pool.session.engine import SessionEngine
from longshore.pool.session.start_settings import start_settings
from longshore.pool.session_ids import begin_session_ids_at, new_session_id
from longshore.proto.postgres.backend_messages import AuthenticationOk, ErrorResponse
from longshore.proto.postgres.constants import FrontendType
from longshore.proto.postgres.errors import error_response, violation_response
from longshore.proto.postgres.frontend_messages import CancelRequest, PasswordMessage
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.startup import ClientStarted, EncryptionAnswered, ServerStartup
from longshore.proto.postgres.startup_framing import DirectTls
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.proto.postgres.wire import HEADER, LENGTH_BYTES

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Iterable

    from longshore.pool.pool import Pool
    from longshore.proto.postgres.backend_messages import AuthenticationMessage

__all__ = ["ClientDoor", "ClientStart", "begin_session_ids_at", "new_session_id"]

_DIRECT = "connect to the database directly"
_MAX_UNREAD_BYTES = 64 * 1024
"""So much may a client send before it was let in; no answer of an authentication is longer."""


class ClientStart(asyncio.Protocol):
    """One client before its session.

    Args:
        door: where it came.
    """

    def __init__(self, door: ClientDoor) -> None:
        self._door = door
        self._session_id = new_session_id()
        self._transport: asyncio.Transport | None = None
        self._startup: ServerStartup | None = ServerStartup(offers_tls=door.tls is not None)
        self._is_direct = False
        self._is_encrypted = False
        self._started: ClientStarted | None = None
        self._user = self._database = ""
        self._auth: ClientAuth | None = None
        self._task: asyncio.Task[None] | None = None
        self._pool: Pool | None = None
        self._trial: LoginTrial | None = None
        self._unread = bytearray()  # what came behind the message that is worked on
        self._is_paused = False
        self._is_ended = False

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the start-up packet."""
        self._transport = transport  # type: ignore[assignment]  # uvloop has classes of its own
        pools = self._door.pools
        if len(pools.starting) >= pools.limits.starting:
            self._transport.abort()  # type: ignore[union-attr]  # set above
            self._is_ended = True
            return
        pools.starting.add(self, self._door.login_timeout_s)

    def data_received(self, data: bytes) -> None:
        """Take what the client says."""
        if self._is_ended:
            return
        try:
            if self._startup is not None:
                self._take_startup(data)
            else:
                self._keep(data)
                self._take_answers()
        except ProtocolViolation as exc:
            self._end(violation_response(exc))
        except PoolRefused as exc:
            self._end(exc.error, exc.reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up after it, at whatever byte it left."""
        self._is_ended = True
        self._leave()
        if self._task is not None:
            self._task.cancel()
        if self._trial is not None:
            self._trial.give_up()

    def abort(self) -> None:
        """Close the connection at once."""
        assert self._transport is not None
        self._is_ended = True
        self._transport.abort()

    def _leave(self) -> None:
        self._door.pools.starting.discard(self)

    def _keep(self, data: bytes) -> None:
        assert self._transport is not None
        self._unread += data
        if len(self._unread) > _MAX_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._is_paused and len(self._unread) <= _MAX_UNREAD_BYTES:
            assert self._transport is not None
            self._is_paused = False
            self._transport.resume_reading()

    def time_out(self) -> None:
        """Tell the client that its time is over, and close the connection."""
        assert self._transport is not None
        limit = f"{self._door.login_timeout_s:g} s"
        if not self._is_ended:
            self._end(error_response("FATAL", "08006", f"the login took longer than {limit}"))
        self._transport.abort()

    # -- start-up packet and encryption ----------------------------------------------------------

    def _take_startup(self, data: bytes) -> None:
        assert self._transport is not None
        while self._startup is not None and (outcome := self._startup.receive_data(data)) is not None:
            data = b""
            match outcome:
                case EncryptionAnswered(answer=answer, starts_tls=starts_tls):
                    self._transport.write(answer)
                    if starts_tls:
                        self._start_tls(b"")
                case DirectTls(data=hello):
                    if self._door.tls is None:
                        raise ProtocolViolation("this pool does not offer TLS", is_fatal=True)
                    self._is_direct = True
                    self._start_tls(hello)
                case CancelRequest():
                    self._cancel(outcome)
                case ClientStarted():
                    self._begin(outcome)

    def _start_tls(self, data: bytes) -> None:
        tls, transport = self._door.tls, self._transport
        assert tls is not None
        assert transport is not None
        self._startup = None
        self._transport = above = TlsTransport(
            transport,
            self,
            tls.context,
            is_server=True,
            on_established=self._encrypted,
            on_failed=self._not_encrypted,
        )
        above.start(data)

    def _encrypted(self, transport: TlsTransport) -> None:
        alpn = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        if self._is_direct and alpn != ALPN:
            # A browser could be made to speak to us otherwise (ALPACA).
            self._note(error_response("FATAL", "08P01", f"direct TLS without ALPN {ALPN!r}"))
            self._is_ended = True
            transport.abort()
            return
        self._is_encrypted = True
        self._startup = ServerStartup(is_encrypted=True)

    def _not_encrypted(self, error: ssl.SSLError) -> None:
        self._is_ended = True
        self._note(error_response("FATAL", "08P01", f"TLS handshake failed: {error.reason or error}"))

    def _cancel(self, request: CancelRequest) -> None:
        """Cancel; clients take the end of this connection for the word that no later query can be hit."""
        assert self._transport is not None
        self._startup, self._is_ended = None, True
        pid, key = request.process_id, request.secret_key
        if (meant := self._door.pools.cancels.get((pid, key))) is not None:
            meant.cancel(self._transport.close)
        else:
            self._door.on_foreign_cancel(pid, key, self._transport.close)

    # -- authentication --------------------------------------------------------------------------

    def _begin(self, started: ClientStarted) -> None:
        """Ask the client who it is."""
        assert self._startup is not None
        assert self._transport is not None
        self._started = started
        startup, self._startup = self._startup, None
        self._unread += startup.take_rest()
        if started.negotiate is not None:
            self._transport.write(serialize(started.negotiate))
        self._user, self._database = _name(started.user), _name(started.database)
        self._judge_request(started)
        self._auth = ClientAuth(self._door.authentication, self._user, peer_of(self._transport, self._door.tls))
        first = self._auth.begin_at_once()
        if first is not None:
            self._answer((first,))
            self._take_answers()
        else:
            self._run(self._ask(self._auth))

    def _judge_request(self, started: ClientStarted) -> None:
        """Refuse what can be refused without asking.

        Raises:
            PoolRefused: it is.
        """
        door = self._door
        if door.tls is not None and not self._is_encrypted and self._must_encrypt(door.tls.mode):
            message = "the pool takes encrypted connections only"
            raise PoolRefused(error_response("FATAL", "28000", message, hint="set sslmode=require"))
        if started.replication is not None:
            message = "replication does not go through a pool"
            raise PoolRefused(error_response("FATAL", "0A000", message, hint=_DIRECT))
        if not self._is_for_admin():
            door.pools.judge_crowd()

    def _must_encrypt(self, mode: ClientTlsMode) -> bool:
        """Return whether nobody gets in without TLS; nobody can listen at a Unix socket, and libpq has no TLS there."""
        if mode is ClientTlsMode.REQUIRE:
            assert self._transport is not None
            return not peer_of(self._transport, None).is_unix
        return mode is ClientTlsMode.VERIFY_CA

    def _is_for_admin(self) -> bool:
        return self._door.admin is not None and self._door.admin.answers(self._database)

    async def _ask(self, auth: ClientAuth) -> None:
        self._answer((await auth.begin(),))

    async def _check(self, auth: ClientAuth, message: PasswordMessage) -> None:
        self._answer(await auth.check(message))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        self._task = spawn(self._finish(work), name="longshore client login", on_done=lambda _: None)

    async def _finish(self, work: Coroutine[None, None, None]) -> None:
        """Do what takes time; what the client sends meanwhile is kept."""
        try:
            await work
        except PoolRefused as exc:
            self._end(exc.error, exc.reason)
            return
        except ProtocolViolation as exc:
            self._end(violation_response(exc))
            return
        self._task = None
        self.data_received(b"")

    def _take_answers(self) -> None:
        """Take the client's answers, as far as they are complete and wanted."""
        auth, unread = self._auth, self._unread
        while auth is not None and self._task is None and not auth.is_done and len(unread) >= HEADER.size:
            message_type, length = HEADER.unpack_from(unread)
            if message_type != FrontendType.PasswordMessage:
                reason = "expected password response"
                raise ProtocolViolation(reason, message_type=message_type, is_fatal=True)
            if not LENGTH_BYTES <= length < _MAX_UNREAD_BYTES:
                raise ProtocolViolation(
                    f"password response of {length} bytes", message_type=message_type, is_fatal=True
                )
            if len(unread) < length + 1:
                return
            payload = bytes(unread[HEADER.size : length + 1])
            del unread[: length + 1]
            outcome = auth.receive(message_type, payload)
            if isinstance(outcome, PasswordMessage):
                self._run(self._check(auth, outcome))
            else:
                self._answer(outcome)
        self._resume()

    def _answer(self, messages: Iterable[AuthenticationMessage]) -> None:
        assert self._transport is not None
        assert self._auth is not None
        # AuthenticationOk goes out when everything else is judged too.
        self._transport.write(b"".join(serialize(each) for each in messages if not isinstance(each, AuthenticationOk)))
        if self._auth.is_done:
            self._authenticated(self._auth)

    # -- the session -----------------------------------------------------------------------------

    def _authenticated(self, auth: ClientAuth) -> None:
        """Give the client what it asked for; settings that nobody asked for before have to be tried on a server."""
        assert self._started is not None
        if self._is_for_admin():
            self._let_into_admin()
            return
        names = (self._database, self._door.pools.declared_name(self._database))
        if not all(self._door.authentication.may_use(self._user, name) for name in names):
            raise _permission_denied(self._database)
        self._pool = pool = self._door.pools.find(self._database, self._user)
        pool.opener.learn(auth.login_secret())
        known = pool.starts.find(self._started.parameters)
        if known is None:
            settings = _settings_of(self._started, pool.parameters or {})
            parameters = pool.known_login(settings)
            if parameters is None:
                self._door.pools.starting.hold(self)
                self._trial = LoginTrial(self._session_id, pool, settings, self._tried)
                self._trial.begin(self._door.tenant)
                return
            known = pool.starts.keep(self._started.parameters, settings, parameters)
        self._let_in(SessionEngine(self._session_id, pool.shared, known.settings, known.parameters))

    def _let_into_admin(self) -> None:
        admin, transport = self._door.admin, self._transport
        assert admin is not None
        assert transport is not None
        assert self._started is not None
        if (refusal := admin.refusal(self._user)) is not None:
            raise PoolRefused(refusal)
        transport.write(serialize(AuthenticationOk()))
        self._leave()
        self._is_ended = True
        admin.open(self._started, transport).take_over(self._take_unread())

    def _tried(self, outcome: SessionEngine | ErrorResponse) -> None:
        self._trial = None
        if isinstance(outcome, ErrorResponse):
            self._end(outcome)
            return
        try:
            self._let_in(outcome)
        except PoolRefused as exc:
            self._end(exc.error)

    def _let_in(self, engine: SessionEngine) -> None:
        assert self._transport is not None
        assert self._pool is not None
        assert self._started is not None
        self._door.pools.judge_room(self._database, self._user)
        self._leave()
        self._is_ended = True
        client = let_in(
            self._transport,
            self._door,
            self._pool,
            engine,
            user=self._user,
            database=self._database,
            version=self._started.version,
        )
        client.take_over(self._take_unread())

    def _take_unread(self) -> bytes:
        unread = bytes(self._unread)
        self._unread.clear()
        self._resume()
        return unread

    def _end(self, error: ErrorResponse, reason: str = "") -> None:
        """Say why, and close; who does not take it is cut off when the time for the login is over."""
        assert self._transport is not None
        self._is_ended = True
        self._note(error, reason)
        self._transport.write(serialize(error))
        self._transport.close()

    def _note(self, error: ErrorResponse, reason: str = "") -> None:
        self._door.pools.refusals[error.sqlstate] += 1
        address = shown_peer(self._transport)
        self._door.on_refused(
            RefusedLogin(address=address, user=self._user, database=self._database, error=error, reason=reason)
        )


def _settings_of(started: ClientStarted, known: dict[bytes, bytes]) -> dict[str, str]:
    try:
        return start_settings(started.parameters, known)
    except ValueError as exc:
        raise PoolRefused(error_response("FATAL", "42601", str(exc))) from exc


def _permission_denied(database: str) -> PoolRefused:
    message = f'permission denied for database "{database}"'
    hint = "add the user to the database's users in the pool's configuration"
    return PoolRefused(error_response("FATAL", "42501", message, hint=hint))


def _name(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        message = "names of users and databases must be UTF-8"
        raise PoolRefused(error_response("FATAL", "28000", message)) from exc
