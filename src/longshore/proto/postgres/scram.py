"""Keys, verifiers and message syntax of SCRAM-SHA-256 (PURE; RFC 5802, RFC 7677; manual: SASL Authentication).

Names are those of RFC 5802 §3. The stored form of a password, the *verifier*, is PostgreSQL's ``rolpassword``:
``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>``. It verifies a client but cannot log in; who has seen a
client's proof knows ClientKey too, and with it can log in wherever salt and iterations are the same.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from longshore.proto.postgres.saslprep import prepare_password
from longshore.proto.postgres.violation import ProtocolViolation

__all__ = [
    "DEFAULT_ITERATIONS",
    "KEY_BYTES",
    "MAX_ITERATIONS",
    "ScramKeys",
    "ScramVerifier",
    "check_nonce",
    "derive_keys",
    "make_verifier",
    "mock_verifier",
    "parse_verifier",
]

KEY_BYTES = 32
DEFAULT_ITERATIONS = 4096
MAX_ITERATIONS = 1_000_000
"""Half a second of work; a hostile server must not be able to ask for more."""
MOCK_SALT_BYTES = 16

_SCHEME = "SCRAM-SHA-256"
_PARTS = 3
_MAX_ITERATION_DIGITS = 9


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a server stores of a password."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __str__(self) -> str:
        """Return PostgreSQL's spelling."""
        keys = f"{_text(self.stored_key)}:{_text(self.server_key)}"
        return f"{_SCHEME}${self.iterations}:{_text(self.salt)}${keys}"


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a client needs to log in where the verifier has this salt and this count of iterations."""

    salt: bytes
    iterations: int
    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def stored_key(self) -> bytes:
        """``H(ClientKey)``."""
        return sha256(self.client_key)

    @property
    def verifier(self) -> ScramVerifier:
        """The verifier that these keys satisfy."""
        return ScramVerifier(self.salt, self.iterations, self.stored_key, self.server_key)


def derive_keys(password: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """Return the keys of a password; takes a millisecond or more, so callers keep them."""
    salted = hashlib.pbkdf2_hmac("sha256", prepare_password(password), salt, iterations)
    return ScramKeys(salt, iterations, hmac_sha256(salted, b"Client Key"), hmac_sha256(salted, b"Server Key"))


def make_verifier(password: bytes, *, salt: bytes, iterations: int = DEFAULT_ITERATIONS) -> ScramVerifier:
    """Return the verifier of a password."""
    return derive_keys(password, salt, iterations).verifier


def parse_verifier(text: str) -> ScramVerifier | None:
    """Return the verifier of PostgreSQL's spelling, or None when it is not one."""
    parts = text.split("$")
    if len(parts) != _PARTS or parts[0] != _SCHEME:
        return None
    iterations, _, salt = parts[1].partition(":")
    stored_key, _, server_key = parts[2].partition(":")
    try:
        found = ScramVerifier(_bytes(salt), int(iterations), _bytes(stored_key), _bytes(server_key))
    except ValueError:
        return None
    return found if _is_sound(found) else None


def _is_sound(verifier: ScramVerifier) -> bool:
    is_right_size = len(verifier.stored_key) == len(verifier.server_key) == KEY_BYTES
    return is_right_size and bool(verifier.salt) and verifier.iterations > 0


def mock_verifier(user: bytes, secret: bytes) -> ScramVerifier:
    """Return a verifier that nobody satisfies, always the same for a user who does not exist.

    A stranger must not learn from the salt which users there are; PostgreSQL does the same with its
    ``mock_authentication_nonce``.
    """
    salt = hmac_sha256(secret, b"salt" + user)[:MOCK_SALT_BYTES]
    # Keys without a known pre-image: nobody knows a ClientKey whose hash is this HMAC.
    stored_key, server_key = hmac_sha256(secret, b"stored" + user), hmac_sha256(secret, b"server" + user)
    return ScramVerifier(salt, DEFAULT_ITERATIONS, stored_key, server_key)


def check_nonce(nonce: bytes) -> bytes:
    """Return the nonce when it is one: printable ASCII without comma (RFC 5802 §7).

    Raises:
        ValueError: it is not.
    """
    if not nonce or not all(0x21 <= byte <= 0x7E and byte != ord(",") for byte in nonce):
        raise ValueError("a SCRAM nonce must be printable ASCII without comma, and not empty")
    return nonce


def sha256(data: bytes) -> bytes:
    """``H`` of RFC 5802 §2.2."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """``HMAC`` of RFC 5802 §2.2."""
    return hmac.digest(key, data, "sha256")


def xor(left: bytes, right: bytes) -> bytes:
    """``XOR`` of RFC 5802 §2.2; the two have the same length."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def attribute(part: bytes, name: bytes, message_type: int) -> bytes:
    """Return the value of ``name=value``.

    Raises:
        ProtocolViolation: another attribute stands there.
    """
    if part[:2] != name + b"=":
        raise ProtocolViolation(f"malformed SCRAM message: expected attribute {name!r}", message_type=message_type)
    return part[2:]


def decoded(value: bytes, message_type: int) -> bytes:
    """Return what base64 stands for.

    Raises:
        ProtocolViolation: it is not base64.
    """
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProtocolViolation("malformed SCRAM message: not base64", message_type=message_type) from exc


def iteration_count(value: bytes, message_type: int, limit: int) -> int:
    """Return the count of iterations.

    Raises:
        ProtocolViolation: not a number between 1 and the limit.
    """
    count = int(value) if value.isdigit() and len(value) <= _MAX_ITERATION_DIGITS else 0
    if not 1 <= count <= limit:
        reason = f"malformed SCRAM message: iteration count must be 1 to {limit}, got {value[:80]!r}"
        raise ProtocolViolation(reason, message_type=message_type)
    return count


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)
