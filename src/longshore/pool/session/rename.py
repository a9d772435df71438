"""Take names out of messages of the extended protocol, and put others in (PURE; manual: Message Formats)."""

from __future__ import annotations

from struct import Struct
from typing import Final

from longshore.proto.postgres.constants import FrontendType

__all__ = [
    "CLOSE_COMPLETE",
    "FLUSH",
    "PARSE_COMPLETE",
    "STATEMENT",
    "SYNC",
    "bind_names",
    "close_message",
    "describe_message",
    "parse_message",
    "renamed_bind",
    "split_parse",
]

PARSE_COMPLETE: Final = b"1\x00\x00\x00\x04"
CLOSE_COMPLETE: Final = b"3\x00\x00\x00\x04"
FLUSH: Final = b"H\x00\x00\x00\x04"
SYNC: Final = b"S\x00\x00\x00\x04"
STATEMENT: Final = ord("S")

_HEADER: Final = Struct("!BI")


def split_parse(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Return name, text and all behind the name of a Parse.

    Raises:
        ValueError: it is malformed.
    """
    name_end = raw.index(0, 5)
    text_end = raw.index(0, name_end + 1)
    return raw[5:name_end], raw[name_end + 1 : text_end], raw[name_end + 1 :]


def parse_message(name: bytes, body: bytes) -> bytes:
    """Return a Parse."""
    return _HEADER.pack(FrontendType.Parse, len(name) + len(body) + 5) + name + b"\0" + body


def close_message(name: bytes) -> bytes:
    """Return a Close of a statement."""
    return _HEADER.pack(FrontendType.Close, len(name) + 6) + b"S" + name + b"\0"


def describe_message(name: bytes) -> bytes:
    """Return a Describe of a statement."""
    return _HEADER.pack(FrontendType.Describe, len(name) + 6) + b"S" + name + b"\0"


def bind_names(raw: bytes) -> tuple[bytes, bytes]:
    """Return portal and statement of a Bind.

    Raises:
        ValueError: it is malformed.
    """
    portal_end = raw.index(0, 5)
    return raw[5:portal_end], raw[portal_end + 1 : raw.index(0, portal_end + 1)]


def renamed_bind(raw: bytes, name: bytes) -> bytes:
    """Return a Bind for another statement."""
    portal_end = raw.index(0, 5) + 1
    name_end = raw.index(0, portal_end)
    length = len(raw) - 1 + len(name) - (name_end - portal_end)
    return b"".join((_HEADER.pack(FrontendType.Bind, length), raw[5:portal_end], name, raw[name_end:]))
