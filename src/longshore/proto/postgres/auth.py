"""Passwords in all their forms, and both sides of a login (PURE; manual: Start-up, SASL Authentication).

``ServerAuthenticator`` asks a client and judges his answers, ``ClientAuthenticator`` answers a server; both are fed
messages and return messages. Randomness (salts, nonces) comes as an argument. GSSAPI, SSPI and Kerberos are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from longshore.proto.postgres.scram import ScramKeys, ScramVerifier, derive_keys, parse_verifier

__all__ = [
    "AuthMethod",
    "Md5Hash",
    "PlainPassword",
    "Secret",
    "has_password",
    "md5_answer",
    "md5_hash",
    "parse_secret",
]

_MD5 = re.compile(r"md5[0-9a-f]{32}")

DeriveKeys: TypeAlias = Callable[[bytes, bytes, int], ScramKeys]
"""``derive_keys`` or one that remembers: (password, salt, iterations) → keys."""


class AuthMethod(Enum):
    """How a client proves who he is; the values are those of ``pg_hba.conf`` and of libpq's ``require_auth``."""

    TRUST = "none"
    PASSWORD = "password"  # noqa: S105 - the name of the method
    MD5 = "md5"
    SCRAM_SHA_256 = "scram-sha-256"


@dataclass(frozen=True, slots=True)
class PlainPassword:
    """The password itself."""

    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Md5Hash:
    """``md5`` and the hash of password and user, as ``rolpassword`` has it."""

    value: bytes = field(repr=False)


Secret: TypeAlias = PlainPassword | Md5Hash | ScramVerifier
"""What is stored about a user."""


def parse_secret(text: str) -> Secret:
    """Return what a ``rolpassword`` or a line of a users file holds; what is neither form is a plain password."""
    if (verifier := parse_verifier(text)) is not None:
        return verifier
    if _MD5.fullmatch(text):
        return Md5Hash(text.encode("ascii"))
    return PlainPassword(text.encode("utf-8"))


def md5_hash(user: bytes, password: bytes) -> Md5Hash:
    """Return what PostgreSQL stores with ``password_encryption = md5``."""
    return Md5Hash(_md5(password + user))


def md5_answer(stored: Md5Hash, salt: bytes) -> bytes:
    """Return the PasswordMessage for AuthenticationMD5Password: ``md5(md5(password + user) + salt)``."""
    return _md5(stored.value.removeprefix(b"md5") + salt)


def has_password(
    secret: Secret | None, user: bytes, password: bytes, derive: Callable[[bytes, bytes, int], ScramKeys] = derive_keys
) -> bool:
    """Return True when the password is the one behind the secret; takes as long as SCRAM takes where it is that."""
    if isinstance(secret, PlainPassword):
        return hmac.compare_digest(secret.password, password)
    if isinstance(secret, Md5Hash):
        return hmac.compare_digest(secret.value, md5_hash(user, password).value)
    if isinstance(secret, ScramVerifier):
        keys = derive(password, secret.salt, secret.iterations)
        return hmac.compare_digest(keys.server_key, secret.server_key)
    return False


def _md5(data: bytes) -> bytes:
    # The protocol's choice, not ours.
    return b"md5" + hashlib.md5(data, usedforsecurity=False).hexdigest().encode("ascii")
