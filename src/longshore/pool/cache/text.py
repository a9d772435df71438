"""The text of a read without its comments, and what a comment asks of the cache (PURE).

Comments are found by the tokens of PostgreSQL's own scanner: a ``--`` inside of a string is none. Tools put a new
comment into every query (sqlcommenter); without it the texts are the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import postgast
from google.protobuf.message import DecodeError
from postgast import pg_query_pb2 as pb

__all__ = ["CLOCK_WORD", "Options", "ReadText", "read_text"]

CLOCK_WORD: Final = re.compile(rb"(?<![a-z_])(?:now|today|tomorrow|yesterday)(?![a-z_])", re.IGNORECASE)
"""What datetime input reads as a moment that depends on the clock (manual: Special Values)."""

_COMMENTS: Final = (pb.SQL_COMMENT, pb.C_COMMENT)
_MAY_HOLD_ONE: Final = re.compile(r"--|/\*")
_DIRECTIVE: Final = re.compile(r"(?:/\*|--)\s*longshore\s*:(.*?)(?:\*/)?\s*\Z", re.DOTALL | re.IGNORECASE)
_MAX_S: Final = 86_400.0
_SWITCHES: Final = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Options:
    """What the comments of a text, or a setting, ask for; None: nothing about it."""

    is_on: bool | None = None
    ttl_s: float | None = None
    swr_s: float | None = None
    ignored: str = ""
    """The last part that is not understood, and why."""


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text as the cache knows it."""

    text: str
    """Without comments and outer white space."""
    options: Options = field(default_factory=Options)
    has_clock_word: bool = False


def read_text(text: str) -> ReadText:
    """Return what the cache makes of a text.

    Raises:
        ValueError: the scanner does not understand it.
    """
    if _MAY_HOLD_ONE.search(text) is None:
        return _clean(text.strip())
    encoded = text.encode("utf-8")
    parts: list[bytes] = []
    options, position = Options(), 0
    for token in _tokens(encoded):
        if token.token in _COMMENTS:
            options = _with_comment(options, encoded[token.start : token.end].decode())
            # A comment separates what stands before and behind it.
            parts += (encoded[position : token.start], b" ")
            position = token.end
    parts.append(encoded[position:])
    clean = _clean(b"".join(parts).decode().strip())
    return clean if options == clean.options else replace(clean, options=options)


def _tokens(encoded: bytes) -> list[pb.ScanToken]:
    try:
        return list(postgast.scan(encoded.decode()).tokens)
    except (postgast.PgQueryError, DecodeError) as exc:
        raise ValueError(str(exc)) from exc


@lru_cache(maxsize=4096)
def _clean(text: str) -> ReadText:
    """Return a text without comments; which one has a clock word is looked for in its string constants only."""
    encoded = text.encode("utf-8")
    has_clock_word = False
    if CLOCK_WORD.search(encoded) is not None:
        found = (encoded[token.start : token.end] for token in _tokens(encoded) if token.token in _STRINGS)
        has_clock_word = any(CLOCK_WORD.search(each) for each in found)
    return ReadText(text, has_clock_word=has_clock_word)


_STRINGS: Final = (pb.SCONST, pb.USCONST)


def _with_comment(options: Options, comment: str) -> Options:
    found = _DIRECTIVE.match(comment)
    if found is None:
        return options
    for word in found[1].replace(",", " ").split():
        options = _with_word(options, word)
    return options


def _with_word(options: Options, word: str) -> Options:
    name, _, value = word.lower().partition("=")
    if name == "cache":
        if value in _SWITCHES:
            return replace(options, is_on=_SWITCHES[value])
        return replace(options, ignored=f"{word[:100]}: cache is on or off")
    if name not in ("ttl", "swr"):
        return replace(options, ignored=f"{word[:100]}: known are cache=on, cache=off, ttl=SECONDS, swr=SECONDS")
    if not value.isascii() or not value.isdigit() or float(value) > _MAX_S:
        return replace(options, ignored=f"{word[:100]}: {name} is a whole number of seconds, at most {_MAX_S:.0f}")
    return replace(options, ttl_s=float(value)) if name == "ttl" else replace(options, swr_s=float(value))
