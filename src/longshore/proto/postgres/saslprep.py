"""Prepare a password as PostgreSQL does (PURE; RFC 4013 SASLprep, RFC 3454 stringprep).

PostgreSQL accepts passwords that are not UTF-8 or hold prohibited characters: it uses their bytes as they are. Both
sides must do the same or they compute different keys.
"""

from __future__ import annotations

import stringprep
import unicodedata

__all__ = ["SaslprepError", "prepare_password", "saslprep"]

_PROHIBITED = (  # RFC 4013 §2.3
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,  # §2.5: unassigned in Unicode 3.2, prohibited in stored strings
)


class SaslprepError(ValueError):
    """The text cannot be prepared."""


def prepare_password(password: bytes) -> bytes:
    """Return the bytes that go into the key derivation; never fails."""
    try:
        text = password.decode("utf-8")
        return password if text.isascii() and text.isprintable() else saslprep(text).encode("utf-8")
    except (UnicodeDecodeError, SaslprepError):
        return password


def saslprep(text: str) -> str:
    """Return the prepared text.

    Raises:
        SaslprepError: it is empty afterwards, or holds a prohibited character or a mixture of directions.
    """
    mapped = "".join(_mapped(char) for char in text)  # RFC 4013 §2.1
    # §2.2. RFC 3454 means the tables of Unicode 3.2; `ucd_3_2_0` is them.
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        raise SaslprepError("nothing is left of the text")
    for char in prepared:
        if any(is_prohibited(char) for is_prohibited in _PROHIBITED):
            raise SaslprepError(f"character U+{ord(char):04X} is prohibited")
    _check_directions(prepared)
    return prepared


def _mapped(char: str) -> str:
    if stringprep.in_table_c12(char):
        return " "
    return "" if stringprep.in_table_b1(char) else char


def _check_directions(text: str) -> None:
    """Check RFC 3454 §6: right-to-left texts hold no left-to-right, and begin and end right-to-left."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)):
        raise SaslprepError("left-to-right and right-to-left characters are mixed")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise SaslprepError("a right-to-left text must begin and end with such a character")
