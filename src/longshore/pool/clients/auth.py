"""One client proves who it is (shell over ``ServerAuthenticator``: secrets may have to be fetched, keys to be made)."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from longshore.pool.clients.authentication import ClientMethod
from longshore.pool.refusals import PoolRefused
from longshore.proto.postgres.auth import AuthMethod, Md5Hash, PlainPassword
from longshore.proto.postgres.auth_server import AuthRandomness, ServerAuthenticator
from longshore.proto.postgres.backend_messages import AuthenticationOk
from longshore.proto.postgres.errors import error_response
from longshore.proto.postgres.frontend_messages import PasswordMessage
from longshore.proto.postgres.parse_frontend import parse_frontend
from longshore.proto.postgres.scram import ScramVerifier, mock_verifier
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

if TYPE_CHECKING:
    from longshore.pool.clients.authentication import Authentication
    from longshore.pool.servers.login import LoginSecret
    from longshore.proto.postgres.auth import Secret
    from longshore.proto.postgres.backend_messages import AuthenticationMessage, ErrorResponse
    from longshore.proto.postgres.frontend_messages import FrontendMessage
    from longshore.proto.postgres.scram import ScramKeys

__all__ = ["ClientAuth", "ClientPeer"]

_NONCE_BYTES = 18
_SALT_BYTES = 16


class ClientPeer:
    """What is known of the other side before it says who it is.

    Args:
        is_local: it is on this machine.
        is_unix: it came through a Unix socket, where nobody can listen.
        is_encrypted: TLS is up.
        common_name: of its certificate, which was verified; None: it has none.
        end_point: channel binding data of our certificate on this connection; None without TLS.
    """

    __slots__ = ("common_name", "end_point", "is_encrypted", "is_local", "is_unix")

    def __init__(
        self,
        *,
        is_local: bool,
        is_unix: bool = False,
        is_encrypted: bool = False,
        common_name: str | None = None,
        end_point: bytes | None = None,
    ) -> None:
        self.is_local = is_local
        self.is_unix = is_unix
        self.is_encrypted = is_encrypted
        self.common_name = common_name
        self.end_point = end_point


class ClientAuth:
    """One login.

    Args:
        rules: of the door.
        user: of the StartupMessage.
        peer: who is asked.
    """

    def __init__(self, rules: Authentication, user: str, peer: ClientPeer) -> None:
        self._rules = rules
        self._user = user
        self._peer = peer
        self._secret: Secret | None = None
        self._is_of_source = False
        self._server: ServerAuthenticator | None = None
        self._is_trusted = False

    @property
    def is_done(self) -> bool:
        """True when the client may come in."""
        return self._is_trusted or (self._server is not None and self._server.is_done)

    def begin_at_once(self) -> AuthenticationMessage | None:
        """Return the first message; None: ``begin`` must find it.

        Raises:
            PoolRefused: the client cannot come in.
        """
        method = self._rules.method
        if method in (ClientMethod.TRUST, ClientMethod.CERT):
            self._judge_peer(method)
            self._is_trusted = True
            return AuthenticationOk()
        is_secret = self._peer.is_encrypted or self._peer.is_unix or self._rules.allows_plain_password
        if method is ClientMethod.PASSWORD and not is_secret:
            raise _refused("the pool takes passwords on encrypted connections only", "set sslmode=require")
        self._secret = self._rules.listed(self._user)
        if self._secret is None and self._rules.source is not None:
            known = self._rules.source.cached(self._user)
            if known is None:
                return None
            (self._secret,), self._is_of_source = known, True
        return self._ask_at_once()

    async def begin(self) -> AuthenticationMessage:
        """Return the first message.

        Raises:
            PoolRefused: the client cannot come in.

        Cancellation: safe.
        """
        if self._secret is None and self._rules.source is not None and not self._is_of_source:
            self._secret, self._is_of_source = await self._rules.source.find(self._user), True
        method = self._rules.wire_method(self._secret)
        user = self._user.encode()
        prepared = (
            await self._rules.prepared(user, self._secret) if method is AuthMethod.SCRAM_SHA_256 else self._secret
        )
        return self._start(method, prepared)

    def _ask_at_once(self) -> AuthenticationMessage | None:
        method = self._rules.wire_method(self._secret)
        prepared = self._secret
        if method is AuthMethod.SCRAM_SHA_256 and isinstance(prepared, PlainPassword):
            keys = self._rules.keys.find(prepared.password, *self._rules.salt_of(self._user.encode()))
            if keys is None:
                return None
            prepared = keys.verifier
        return self._start(method, prepared)

    def _judge_peer(self, method: ClientMethod) -> None:
        if method is ClientMethod.TRUST and not self._peer.is_local:
            raise _refused(
                "the pool asks nobody for a password, and so lets in clients of its own machine only",
                "give the pool users (a users file, or auth_query)",
            )
        if method is ClientMethod.CERT and self._peer.common_name != self._user:
            shown = "no certificate" if self._peer.common_name is None else "the certificate of somebody else"
            raise _refused(
                f'certificate authentication failed for user "{self._user}": the client showed {shown}',
                "set sslcert and sslkey to a certificate whose common name is the user's name",
            )
        if not self._rules.is_listed(self._user):
            raise PoolRefused(_failed(self._user, "28000"))

    def _start(self, method: AuthMethod, secret: Secret | None) -> AuthenticationMessage:
        fresh = os.urandom(_NONCE_BYTES + _SALT_BYTES)
        nonce = base64.b64encode(fresh[:_NONCE_BYTES])
        randomness = AuthRandomness(nonce, fresh[_NONCE_BYTES:], self._rules.keys.mock_secret)
        self._server = ServerAuthenticator(
            self._user.encode(),
            secret,
            method,
            randomness=randomness,
            binding=self._peer.end_point,
            derive=self._derived,
        )
        return self._server.start()

    # -- the client's answers --------------------------------------------------------------------

    def receive(self, message_type: int, payload: bytes) -> tuple[AuthenticationMessage, ...] | PasswordMessage:
        """Take an answer; return what to send, or the message to give to ``check`` because that takes time.

        Raises:
            PoolRefused: the client is not who it says it is.
            ProtocolViolation: this is no answer.
        """
        server = self._server
        if server is None or server.auth_reply is None:
            raise ProtocolViolation("no password was asked for", message_type=message_type, is_fatal=True)
        message = parse_frontend(message_type, payload, auth_reply=server.auth_reply)
        if isinstance(message, PasswordMessage) and self._must_derive(message.password):
            return message
        return self._judge(message)

    async def check(self, message: PasswordMessage) -> tuple[AuthenticationMessage, ...]:
        """Judge a password of which keys have to be made first; see ``receive``.

        Raises:
            PoolRefused: it is wrong.

        Cancellation: safe.
        """
        verifier = self._verifier()
        await self._rules.keys.derive(message.password, verifier.salt, verifier.iterations)
        return self._judge(message)

    def _judge(self, message: FrontendMessage) -> tuple[AuthenticationMessage, ...]:
        assert self._server is not None
        try:
            return self._server.receive(message)
        except AuthenticationFailed as exc:
            if self._rules.source is not None and self._is_of_source:
                self._rules.source.forget(self._user)
            if exc.sqlstate != "28P01":
                raise PoolRefused(error_response("FATAL", exc.sqlstate, exc.reason)) from exc
            raise PoolRefused(_failed(self._user)) from exc

    def _must_derive(self, password: bytes) -> bool:
        """Whether a password in clear text is compared with keys that are not made yet; also for who is unknown."""
        if self._rules.method is not ClientMethod.PASSWORD or isinstance(self._secret, (PlainPassword, Md5Hash)):
            return False
        verifier = self._verifier()
        return self._rules.keys.find(password, verifier.salt, verifier.iterations) is None

    def _verifier(self) -> ScramVerifier:
        if isinstance(self._secret, ScramVerifier):
            return self._secret
        return mock_verifier(self._user.encode(), self._rules.keys.mock_secret)

    def _derived(self, password: bytes, salt: bytes, iterations: int) -> ScramKeys:
        found = self._rules.keys.find(password, salt, iterations)
        assert found is not None, "they were made before"
        return found

    def login_secret(self) -> LoginSecret:
        """Return with what to log in to the database as this client, as far as that is known now."""
        if self._is_trusted:
            return None
        assert self._server is not None
        if self._server.password is not None:
            return PlainPassword(self._server.password)
        if isinstance(self._secret, PlainPassword):
            return self._secret
        if self._server.scram_keys is not None:
            return self._server.scram_keys
        return self._secret if isinstance(self._secret, Md5Hash) else None


def _failed(user: str, sqlstate: str = "28P01") -> ErrorResponse:
    return error_response("FATAL", sqlstate, f'password authentication failed for user "{user}"')


def _refused(message: str, hint: str) -> PoolRefused:
    return PoolRefused(error_response("FATAL", "28000", message, hint=hint))
