"""The client of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (PURE; RFC 5802 §5 and §7, RFC 7677, RFC 5929).

``initial`` → server-first → ``receive_first`` → ``finish(keys)`` → server-final → ``receive_final``. The derivation of
the keys stands between two calls, so that a shell may cache it or do it elsewhere. The nonce is an argument.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import dataclass
from enum import Enum, auto

from longshore.proto.postgres.channel_binding import CHANNEL_BINDING
from longshore.proto.postgres.constants import SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_256_PLUS, BackendType
from longshore.proto.postgres.frontend_messages import SASLInitialResponse, SASLResponse
from longshore.proto.postgres.scram import (
    MAX_ITERATIONS,
    ScramKeys,
    attribute,
    check_nonce,
    decoded,
    hmac_sha256,
    iteration_count,
    sha256,
    xor,
)
from longshore.proto.postgres.sqlstate import INVALID_AUTHORIZATION_SPECIFICATION
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

__all__ = ["BindingPolicy", "Challenge", "ScramClient", "choose_binding", "read_challenge"]

_TYPE = int(BackendType.Authentication)
_FIRST_PARTS = 3


class BindingPolicy(Enum):
    """libpq's ``channel_binding``."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the keys have to be made for."""

    salt: bytes
    iterations: int


class _Step(Enum):
    INITIAL = auto()
    FIRST = auto()
    KEYS = auto()
    FINAL = auto()
    DONE = auto()


def choose_binding(
    mechanisms: tuple[bytes, ...], binding: bytes | None, policy: BindingPolicy = BindingPolicy.PREFER
) -> tuple[bytes, bytes]:
    """Return mechanism and GS2 header for what the server offers (RFC 5802 §6).

    Args:
        mechanisms: of AuthenticationSASL.
        binding: channel binding data of this TLS connection, or None without TLS.
        policy: what the operator wants.

    Raises:
        AuthenticationFailed: nothing offered is usable, or binding is required and not offered.
    """
    can_bind = binding is not None and policy is not BindingPolicy.DISABLE
    if SASL_SCRAM_SHA_256_PLUS in mechanisms and can_bind:
        return SASL_SCRAM_SHA_256_PLUS, b"p=" + CHANNEL_BINDING + b",,"
    if policy is BindingPolicy.REQUIRE:
        reason = "channel binding is required, but the server does not offer SCRAM-SHA-256-PLUS on this connection"
        raise AuthenticationFailed(reason, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)
    if SASL_SCRAM_SHA_256 not in mechanisms:
        reason = f"none of the server's SASL mechanisms is supported: {mechanisms[:5]!r}"
        raise AuthenticationFailed(reason, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)
    # "y": we could bind, and saw no offer; a server that did offer notices that somebody took it away.
    return SASL_SCRAM_SHA_256, b"y,," if can_bind else b"n,,"


def read_challenge(data: bytes, max_iterations: int = MAX_ITERATIONS) -> Challenge:
    """Return what a server-first-message asks for: who knows it early can make the keys before they are needed.

    Raises:
        ProtocolViolation: malformed.
    """
    return _parse_first(data, max_iterations)[1]


def _parse_first(data: bytes, max_iterations: int) -> tuple[bytes, Challenge]:
    parts = data.split(b",")
    if len(parts) < _FIRST_PARTS:
        raise ProtocolViolation("malformed SCRAM message: server-first-message", message_type=_TYPE)
    nonce = attribute(parts[0], b"r", _TYPE)
    salt = decoded(attribute(parts[1], b"s", _TYPE), _TYPE)
    return nonce, Challenge(salt, iteration_count(attribute(parts[2], b"i", _TYPE), _TYPE, max_iterations))


class ScramClient:
    """One login.

    Args:
        mechanism: what ``choose_binding`` chose.
        gs2_header: likewise.
        nonce: fresh printable randomness, 18 bytes in base64 as PostgreSQL has it.
        binding: channel binding data, used with ``-PLUS`` only.
        user: PostgreSQL ignores it, it knows the user from the StartupMessage; libpq sends none.
        max_iterations: a server that asks for more is refused.
    """

    def __init__(
        self,
        mechanism: bytes,
        gs2_header: bytes,
        *,
        nonce: bytes,
        binding: bytes | None = None,
        user: bytes = b"",
        max_iterations: int = MAX_ITERATIONS,
    ) -> None:
        self._mechanism = mechanism
        self._gs2_header = gs2_header
        self._nonce = check_nonce(nonce)
        self._binding = binding if mechanism == SASL_SCRAM_SHA_256_PLUS else None
        self._bare = b"n=%s,r=%s" % (user.replace(b"=", b"=3D").replace(b",", b"=2C"), nonce)
        self._max_iterations = max_iterations
        self._step = _Step.INITIAL
        self._server_first = b""
        self._full_nonce = b""
        self._challenge = Challenge(b"", 0)
        self._server_signature = b""

    @property
    def is_done(self) -> bool:
        """True when the server has proved that it knows the verifier."""
        return self._step is _Step.DONE

    def initial(self) -> SASLInitialResponse:
        """Return the client-first-message."""
        self._advance(_Step.INITIAL, _Step.FIRST)
        return SASLInitialResponse(self._mechanism, self._gs2_header + self._bare)

    def receive_first(self, data: bytes) -> Challenge:
        """Take the server-first-message; return what keys are wanted.

        Raises:
            ProtocolViolation: malformed, or the nonce does not begin with ours.
        """
        self._advance(_Step.FIRST, _Step.KEYS)
        nonce, self._challenge = _parse_first(data, self._max_iterations)
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise ProtocolViolation("invalid SCRAM response: nonce does not begin with ours", message_type=_TYPE)
        self._server_first, self._full_nonce = data, nonce
        return self._challenge

    def finish(self, keys: ScramKeys) -> SASLResponse:
        """Return the client-final-message.

        Raises:
            AuthenticationFailed: the keys were made for another salt or count of iterations.
        """
        self._advance(_Step.KEYS, _Step.FINAL)
        if (keys.salt, keys.iterations) != (self._challenge.salt, self._challenge.iterations):
            reason = "the server's verifier has another salt or iteration count than the keys at hand"
            raise AuthenticationFailed(reason)
        without_proof = b"c=%s,r=%s" % (b64encode(self._gs2_header + (self._binding or b"")), self._full_nonce)
        message = b",".join((self._bare, self._server_first, without_proof))
        self._server_signature = hmac_sha256(keys.server_key, message)
        proof = xor(keys.client_key, hmac_sha256(sha256(keys.client_key), message))
        return SASLResponse(without_proof + b",p=" + b64encode(proof))

    def receive_final(self, data: bytes) -> None:
        """Take the server-final-message.

        Raises:
            ProtocolViolation: malformed.
            AuthenticationFailed: the server refuses, or does not know the verifier itself.
        """
        self._advance(_Step.FINAL, _Step.FINAL)
        head = data.split(b",")[0]
        if head.startswith(b"e="):
            raise AuthenticationFailed(f"the server refuses: {head[2:][:80]!r}")
        signature = decoded(attribute(head, b"v", _TYPE), _TYPE)
        if not hmac.compare_digest(signature, self._server_signature):
            raise AuthenticationFailed("the server does not know the password: its signature is wrong")
        self._step = _Step.DONE

    def _advance(self, expected: _Step, following: _Step) -> None:
        if self._step is not expected:
            raise ProtocolViolation("SCRAM messages out of order", message_type=_TYPE)
        self._step = following
