"""Ask a client who he is, and judge what he answers (PURE; manual: Start-up; postgres: auth.c)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from longshore.proto.postgres.auth import (
    AuthMethod,
    DeriveKeys,
    Md5Hash,
    PlainPassword,
    Secret,
    has_password,
    md5_answer,
    md5_hash,
)
from longshore.proto.postgres.backend_messages import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationMessage,
    AuthenticationOk,
    AuthenticationSASL,
)
from longshore.proto.postgres.constants import AuthReply
from longshore.proto.postgres.frontend_messages import (
    FrontendMessage,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from longshore.proto.postgres.scram import ScramKeys, ScramVerifier, derive_keys, make_verifier, mock_verifier
from longshore.proto.postgres.scram_server import ScramServer
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

__all__ = ["AuthRandomness", "ServerAuthenticator", "default_method"]

MD5_SALT_BYTES = 4


@dataclass(frozen=True, slots=True)
class AuthRandomness:
    """What one login needs that nobody can guess; the shell makes it."""

    nonce: bytes
    """Printable, for SCRAM: 18 bytes in base64."""
    salt: bytes
    """16 bytes: the first 4 for md5, all for the verifier of a plain password."""
    mock_secret: bytes = field(repr=False)
    """The same for the life of the pool: see ``mock_verifier``."""


def default_method(secret: Secret | None) -> AuthMethod:
    """Return the best method for what is stored, as ``md5`` in ``pg_hba.conf`` does; SCRAM for who does not exist."""
    return AuthMethod.MD5 if isinstance(secret, Md5Hash) else AuthMethod.SCRAM_SHA_256


class ServerAuthenticator:
    """The server's side of one login.

    Args:
        user: of the StartupMessage.
        secret: what is stored, or None for a user who does not exist: he is asked like any other, and fails.
        method: how to ask.
        randomness: see there.
        binding: channel binding data of our certificate on a TLS connection, or None.
        derive: makes SCRAM keys of a password; give one that remembers.
    """

    def __init__(
        self,
        user: bytes,
        secret: Secret | None,
        method: AuthMethod,
        *,
        randomness: AuthRandomness,
        binding: bytes | None = None,
        derive: DeriveKeys = derive_keys,
    ) -> None:
        self._user = user
        self._derive = derive
        self._secret = secret
        self._method = method
        self._salt = randomness.salt[:MD5_SALT_BYTES]
        verifier = _verifier(user, secret, randomness) if method is AuthMethod.SCRAM_SHA_256 else None
        is_doomed = not isinstance(secret, (PlainPassword, ScramVerifier))
        self._scram = (
            None
            if verifier is None
            else ScramServer(verifier, nonce=randomness.nonce, binding=binding, is_doomed=is_doomed)
        )
        self._auth_reply: AuthReply | None = None
        self._is_done = False
        self._password: bytes | None = None

    @property
    def is_done(self) -> bool:
        """True when the client may come in."""
        return self._is_done

    @property
    def auth_reply(self) -> AuthReply | None:
        """What the next ``p`` message is, for ``parse_frontend``; None when none is due."""
        return self._auth_reply

    @property
    def scram_keys(self) -> ScramKeys | None:
        """After success with SCRAM what logs in upstream as this client (verifier pass-through)."""
        return self._scram.keys if self._scram is not None else None

    @property
    def password(self) -> bytes | None:
        """After success with a clear text password that password, which logs in upstream too."""
        return self._password if self._is_done else None

    def start(self) -> AuthenticationMessage:
        """Return the first message: a question, or AuthenticationOk for TRUST."""
        if self._scram is not None:
            self._auth_reply = AuthReply.SASLInitialResponse
            return AuthenticationSASL(self._scram.mechanisms)
        if self._method is AuthMethod.TRUST:
            self._is_done = True
            return AuthenticationOk()
        self._auth_reply = AuthReply.PasswordMessage
        if self._method is AuthMethod.MD5:
            return AuthenticationMD5Password(self._salt)
        return AuthenticationCleartextPassword()

    def receive(self, message: FrontendMessage) -> tuple[AuthenticationMessage, ...]:
        """Take the client's answer; return what to send.

        Raises:
            ProtocolViolation: not an answer, or malformed.
            AuthenticationFailed: send its reason with FATAL and close.
        """
        expected, self._auth_reply = self._auth_reply, None
        if isinstance(message, SASLInitialResponse) and self._scram is not None and _is(expected, message):
            self._auth_reply = AuthReply.SASLResponse
            return (self._scram.receive_initial(message),)
        if isinstance(message, SASLResponse) and self._scram is not None and _is(expected, message):
            return (self._scram.receive_final(message), self._accept())
        if isinstance(message, PasswordMessage) and _is(expected, message):
            return (self._judge(message.password),)
        reason = f"expected password response, got {type(message).__name__}"
        raise ProtocolViolation(reason, message_type=message.type, is_fatal=True)

    def _judge(self, answer: bytes) -> AuthenticationMessage:
        if not answer:
            raise AuthenticationFailed("empty password returned by client")
        if self._method is AuthMethod.MD5:
            is_right = self._has_md5(answer)
        else:
            is_right = has_password(self._secret, self._user, answer, self._derive)
            self._password = answer
        if not is_right:
            raise AuthenticationFailed("password authentication failed")
        return self._accept()

    def _has_md5(self, answer: bytes) -> bool:
        secret = self._secret
        if isinstance(secret, PlainPassword):
            secret = md5_hash(self._user, secret.password)
        return isinstance(secret, Md5Hash) and hmac.compare_digest(md5_answer(secret, self._salt), answer)

    def _accept(self) -> AuthenticationOk:
        self._is_done = True
        return AuthenticationOk()


def _is(expected: AuthReply | None, message: FrontendMessage) -> bool:
    return expected is not None and expected.name == type(message).__name__


def _verifier(user: bytes, secret: Secret | None, randomness: AuthRandomness) -> ScramVerifier:
    if isinstance(secret, ScramVerifier):
        return secret
    if isinstance(secret, PlainPassword):
        return make_verifier(secret.password, salt=randomness.salt)
    return mock_verifier(user, randomness.mock_secret)
