"""Answer a server that asks who we are (PURE; manual: Start-up; libpq: fe-auth.c)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longshore.proto.postgres.auth import AuthMethod, DeriveKeys, Md5Hash, PlainPassword, md5_answer, md5_hash
from longshore.proto.postgres.backend_messages import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationMessage,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
)
from longshore.proto.postgres.constants import AuthCode
from longshore.proto.postgres.frontend_messages import PasswordMessage, SASLInitialResponse, SASLResponse
from longshore.proto.postgres.scram import MAX_ITERATIONS, ScramKeys, derive_keys
from longshore.proto.postgres.scram_client import BindingPolicy, ScramClient, choose_binding
from longshore.proto.postgres.sqlstate import INVALID_AUTHORIZATION_SPECIFICATION
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["AuthReplyMessage", "ClientAuthenticator", "Credentials"]

ALL_METHODS = frozenset(AuthMethod)
AuthReplyMessage = PasswordMessage | SASLInitialResponse | SASLResponse


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in, and with what."""

    user: bytes
    secret: PlainPassword | Md5Hash | ScramKeys | None = field(default=None, repr=False)
    """A password answers everything; the md5 hash only md5; keys of a SCRAM client only SCRAM; None only trust."""
    methods: AbstractSet[AuthMethod] = ALL_METHODS
    """What the server may ask for. A password goes out in clear text only where PASSWORD is in it."""
    binding_policy: BindingPolicy = BindingPolicy.PREFER
    max_iterations: int = MAX_ITERATIONS


class ClientAuthenticator:
    """The client's side of one login.

    Args:
        credentials: who we are.
        nonce: fresh printable randomness for SCRAM.
        binding: channel binding data of the server's certificate, or None without TLS.
        derive: makes SCRAM keys of a password; give one that remembers.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        nonce: bytes,
        binding: bytes | None = None,
        derive: DeriveKeys = derive_keys,
    ) -> None:
        self._credentials = credentials
        self._nonce = nonce
        self._binding = binding
        self._derive = derive
        self._scram: ScramClient | None = None
        self._method: AuthMethod | None = None
        self._is_done = False

    @property
    def is_done(self) -> bool:
        """True after AuthenticationOk."""
        return self._is_done

    @property
    def method(self) -> AuthMethod | None:
        """What the server asked for, or None so far."""
        return self._method

    def receive(self, message: AuthenticationMessage) -> AuthReplyMessage | None:
        """Take one message of the server; return the answer, or None when there is none to give.

        Raises:
            ProtocolViolation: out of order or malformed.
            AuthenticationFailed: the method is not allowed or not possible, or the server failed to prove itself.
        """
        if self._is_done:
            raise _out_of_order(message)
        if isinstance(message, AuthenticationOk):
            self._accept(message)
            return None
        if isinstance(message, AuthenticationSASLContinue):
            return self._continue(message)
        if isinstance(message, AuthenticationSASLFinal):
            self._finish(message)
            return None
        if self._method is not None:
            raise _out_of_order(message)
        return self._begin(message)

    def _begin(self, message: AuthenticationMessage) -> AuthReplyMessage:
        if isinstance(message, AuthenticationCleartextPassword):
            self._choose(AuthMethod.PASSWORD)
            return PasswordMessage(self._password().password)
        if isinstance(message, AuthenticationMD5Password):
            self._choose(AuthMethod.MD5)
            return PasswordMessage(md5_answer(self._md5_hash(), message.salt))
        if isinstance(message, AuthenticationSASL):
            self._choose(AuthMethod.SCRAM_SHA_256)
            return self._begin_scram(message)
        name = AuthCode(message.code).name
        raise AuthenticationFailed(
            f"the server asks for {name} authentication, which is not supported; ask its operator for scram-sha-256",
            sqlstate=INVALID_AUTHORIZATION_SPECIFICATION,
        )

    def _choose(self, method: AuthMethod) -> None:
        self._method = method
        if method not in self._credentials.methods:
            allowed = sorted(item.value for item in self._credentials.methods)
            reason = f"the server asks for method {method.value!r}, allowed are {allowed}"
            raise AuthenticationFailed(reason, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)

    def _begin_scram(self, message: AuthenticationSASL) -> SASLInitialResponse:
        policy = self._credentials.binding_policy
        mechanism, header = choose_binding(message.mechanisms, self._binding, policy)
        if not isinstance(self._credentials.secret, (PlainPassword, ScramKeys)):
            raise self._lacks("a password or SCRAM keys")
        self._scram = ScramClient(
            mechanism,
            header,
            nonce=self._nonce,
            binding=self._binding,
            max_iterations=self._credentials.max_iterations,
        )
        return self._scram.initial()

    def _continue(self, message: AuthenticationSASLContinue) -> SASLResponse:
        if self._scram is None:
            raise _out_of_order(message)
        challenge = self._scram.receive_first(message.data)
        secret = self._credentials.secret
        if isinstance(secret, ScramKeys):
            return self._scram.finish(secret)
        return self._scram.finish(self._derive(self._password().password, challenge.salt, challenge.iterations))

    def _finish(self, message: AuthenticationSASLFinal) -> None:
        if self._scram is None:
            raise _out_of_order(message)
        self._scram.receive_final(message.data)

    def _accept(self, message: AuthenticationOk) -> None:
        """Take AuthenticationOk; a server that has not proved itself is not the one we wanted."""
        if self._method is None:
            self._choose(AuthMethod.TRUST)
        if self._scram is not None and not self._scram.is_done:
            raise _out_of_order(message)
        if self._credentials.binding_policy is BindingPolicy.REQUIRE and self._scram is None:
            reason = "channel binding is required, but the server let us in without it"
            raise AuthenticationFailed(reason, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)
        self._is_done = True

    def _password(self) -> PlainPassword:
        if not isinstance(self._credentials.secret, PlainPassword):
            raise self._lacks("a password")
        return self._credentials.secret

    def _md5_hash(self) -> Md5Hash:
        secret = self._credentials.secret
        return secret if isinstance(secret, Md5Hash) else md5_hash(self._credentials.user, self._password().password)

    def _lacks(self, what: str) -> AuthenticationFailed:
        method = self._method.value if self._method else ""
        return AuthenticationFailed(f"the server asks for {method!r}, and there is not {what} for this user")


def _out_of_order(message: AuthenticationMessage) -> ProtocolViolation:
    name = type(message).__name__
    return ProtocolViolation(f"{name} out of order", message_type=message.type, is_fatal=True)
