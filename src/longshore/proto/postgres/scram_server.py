"""The server of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (PURE; RFC 5802 §5 and §7, RFC 7677; postgres: auth-scram.c).

``receive_initial`` → server-first, ``receive_final`` → server-final. The nonce is an argument. A user who does not
exist is served with ``mock_verifier`` and fails at the end, as one with a wrong password does.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import TYPE_CHECKING

from longshore.proto.postgres.backend_messages import AuthenticationSASLContinue, AuthenticationSASLFinal
from longshore.proto.postgres.channel_binding import CHANNEL_BINDING
from longshore.proto.postgres.constants import SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_256_PLUS, FrontendType
from longshore.proto.postgres.scram import (
    KEY_BYTES,
    ScramKeys,
    ScramVerifier,
    attribute,
    check_nonce,
    decoded,
    hmac_sha256,
    sha256,
    xor,
)
from longshore.proto.postgres.sqlstate import FEATURE_NOT_SUPPORTED, INVALID_AUTHORIZATION_SPECIFICATION
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

if TYPE_CHECKING:
    from longshore.proto.postgres.frontend_messages import SASLInitialResponse, SASLResponse

__all__ = ["ScramServer"]

_TYPE = int(FrontendType.PasswordMessage)
_GS2_PARTS = 2
_BARE_PARTS = 2
_FINAL_PARTS = 3


class ScramServer:
    """One login.

    Args:
        verifier: of the user, or ``mock_verifier``.
        nonce: fresh printable randomness, appended to the client's.
        binding: channel binding data of our certificate, or None without TLS: then ``-PLUS`` is not offered.
        is_doomed: True when the login must fail whatever the client proves.
    """

    def __init__(
        self, verifier: ScramVerifier, *, nonce: bytes, binding: bytes | None = None, is_doomed: bool = False
    ) -> None:
        self._verifier = verifier
        self._nonce = check_nonce(nonce)
        self._binding = binding
        self._is_doomed = is_doomed
        self._gs2_header = b""
        self._bare = b""
        self._server_first = b""
        self._is_bound = False
        self._keys: ScramKeys | None = None

    @property
    def mechanisms(self) -> tuple[bytes, ...]:
        """What to offer in AuthenticationSASL."""
        return (SASL_SCRAM_SHA_256,) if self._binding is None else (SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_256)

    @property
    def keys(self) -> ScramKeys | None:
        """After success what logs in as this client where the same verifier is stored; otherwise None."""
        return self._keys

    def receive_initial(self, message: SASLInitialResponse) -> AuthenticationSASLContinue:
        """Take the client-first-message; return the server-first-message.

        Raises:
            ProtocolViolation: malformed, out of order, or something that is not supported.
            AuthenticationFailed: the client was lied to about channel binding.
        """
        if self._server_first:
            raise _malformed("client-first-message came twice")
        if message.mechanism not in self.mechanisms:
            raise _malformed("client selected an invalid SASL authentication mechanism")
        if message.data is None:
            raise _malformed("no initial response")
        self._is_bound = message.mechanism == SASL_SCRAM_SHA_256_PLUS
        self._split_first(message.data)
        client_nonce = self._client_nonce()
        salt = b64encode(self._verifier.salt)
        self._server_first = b"r=%s%s,s=%s,i=%d" % (client_nonce, self._nonce, salt, self._verifier.iterations)
        return AuthenticationSASLContinue(self._server_first)

    def receive_final(self, message: SASLResponse) -> AuthenticationSASLFinal:
        """Take the client-final-message; return the server-final-message.

        Raises:
            ProtocolViolation: malformed or out of order.
            AuthenticationFailed: wrong password, or channel binding of another connection.
        """
        if not self._server_first or self._keys is not None:
            raise _malformed("client-final-message out of order")
        without_proof, separator, proof = message.data.rpartition(b",p=")
        parts = without_proof.split(b",")
        if not separator or len(parts) < _FINAL_PARTS - 1:
            raise _malformed("client-final-message without proof")
        self._check_binding(decoded(attribute(parts[0], b"c", _TYPE), _TYPE))
        if attribute(parts[1], b"r", _TYPE) != self._full_nonce():
            raise ProtocolViolation("invalid SCRAM response: nonce does not match", message_type=_TYPE)
        text = b",".join((self._bare, self._server_first, without_proof))
        self._keys = self._verify(decoded(proof, _TYPE), text)
        return AuthenticationSASLFinal(b"v=" + b64encode(hmac_sha256(self._verifier.server_key, text)))

    def _verify(self, proof: bytes, text: bytes) -> ScramKeys:
        """Return the keys of a client who knows the password (RFC 5802 §3: ClientKey = ClientProof XOR …)."""
        if len(proof) != KEY_BYTES:
            raise _malformed(f"proof of {len(proof)} bytes")
        client_key = xor(proof, hmac_sha256(self._verifier.stored_key, text))
        is_right = hmac.compare_digest(sha256(client_key), self._verifier.stored_key)
        if not is_right or self._is_doomed:
            raise AuthenticationFailed("password authentication failed")
        return ScramKeys(self._verifier.salt, self._verifier.iterations, client_key, self._verifier.server_key)

    def _split_first(self, data: bytes) -> None:
        """Part GS2 header and the bare message, and judge the header (RFC 5802 §7)."""
        parts = data.split(b",", _GS2_PARTS)
        if len(parts) <= _GS2_PARTS:
            raise _malformed("client-first-message")
        flag, authorization, self._bare = parts
        self._gs2_header = data[: len(data) - len(self._bare)]
        self._check_flag(flag)
        if authorization:
            reason = "client uses authorization identity, but it is not supported"
            raise ProtocolViolation(reason, message_type=_TYPE, sqlstate=FEATURE_NOT_SUPPORTED)

    def _check_flag(self, flag: bytes) -> None:
        if self._is_bound:
            if flag != b"p=" + CHANNEL_BINDING:
                raise _malformed("SCRAM-SHA-256-PLUS without tls-server-end-point")
        elif flag == b"y" and self._binding is not None:
            # RFC 5802 §6: the client saw no offer, but we made one; somebody in the middle took it away.
            reason = "client supports SCRAM channel binding but thinks the server does not"
            raise AuthenticationFailed(reason, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)
        elif flag not in (b"n", b"y"):
            raise _malformed("unexpected channel-binding flag")

    def _client_nonce(self) -> bytes:
        parts = self._bare.split(b",")
        if parts[0][:2] == b"m=":
            reason = "client requires an unsupported SCRAM extension"
            raise ProtocolViolation(reason, message_type=_TYPE, sqlstate=FEATURE_NOT_SUPPORTED)
        if len(parts) < _BARE_PARTS:
            raise _malformed("client-first-message without nonce")
        attribute(parts[0], b"n", _TYPE)  # ignored: the StartupMessage says who it is
        nonce = attribute(parts[1], b"r", _TYPE)
        try:
            return check_nonce(nonce)
        except ValueError as exc:
            raise _malformed("non-printable characters in nonce") from exc

    def _full_nonce(self) -> bytes:
        return self._server_first.split(b",", 1)[0][2:]

    def _check_binding(self, found: bytes) -> None:
        expected = self._gs2_header + ((self._binding or b"") if self._is_bound else b"")
        if not hmac.compare_digest(found, expected):
            reason = "SCRAM channel binding check failed"
            raise AuthenticationFailed(reason, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)


def _malformed(reason: str) -> ProtocolViolation:
    return ProtocolViolation(f"malformed SCRAM message: {reason}", message_type=_TYPE)
