"""Encryption of what the store writes: AES-256-GCM with a key that is not in the store.

A sealed file is one line that says so and one line of base64: a nonce of 12 bytes, then ciphertext and tag. The kind
and the name of the credential are authenticated with it, so no sealed file can be put in the place of another.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from longshore.credentials.errors import CredentialError

__all__ = ["is_sealed", "parse_key", "seal", "unseal"]

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D §8.2: random ones of this size do for 2**32 files of one key
_HEAD: Final = b"longshore-sealed-1\n"
_HOW: Final = "make one with 'openssl rand -base64 32', and keep it where the store is not"


def parse_key(text: str) -> bytes:
    """Return the key that ``text`` spells, in base64 (either alphabet) or in hexadecimal digits.

    Raises:
        CredentialError: it spells none.
    """
    word = text.strip()
    try:
        key = bytes.fromhex(word) if len(word) == 2 * KEY_BYTES else _from_base64(word)
    except ValueError:
        raise CredentialError("LONGSHORE_STORE_KEY is neither base64 nor hexadecimal", _HOW) from None
    if len(key) != KEY_BYTES:
        raise CredentialError(f"LONGSHORE_STORE_KEY has {len(key)} bytes, a key has {KEY_BYTES}", _HOW)
    return key


def is_sealed(data: bytes) -> bool:
    """Say whether ``data`` came from ``seal()``."""
    return data.startswith(_HEAD)


def seal(data: bytes, key: bytes, label: bytes) -> bytes:
    """Return ``data`` encrypted and bound to ``label``."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only a sealed store pays for it

    nonce = os.urandom(_NONCE_BYTES)
    return _HEAD + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, data, label)) + b"\n"


def unseal(data: bytes, key: bytes, label: bytes) -> bytes:
    """Return what ``seal()`` was given.

    Raises:
        CredentialError: it was sealed with another key or for another credential, or was changed.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only a sealed store pays for it
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - the same

    try:
        text = data.removeprefix(_HEAD).strip()
        blob = base64.b64decode(text, validate=True)
        if base64.b64encode(blob) != text:
            raise ValueError("bits that base64 does not use are set")
        return AESGCM(key).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], label)
    except (InvalidTag, ValueError):
        raise CredentialError(
            "it cannot be opened", "it was sealed with another key, or was moved or changed since"
        ) from None


def _from_base64(word: str) -> bytes:
    try:
        return base64.b64decode(word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4), validate=True)
    except binascii.Error as exc:
        raise ValueError(str(exc)) from exc
