"""JSON with comments and trailing commas, as in ``wrangler.jsonc``, with the position of each key (PURE).

RFC 8259, plus ``//`` and ``/* */`` comments and a comma behind the last item. What JSON leaves open and people get
wrong is an error here: a key that stands twice, a surrogate without its other half, numbers that no float can hold.
"""

from __future__ import annotations

import re
from typing import Any, Final

from longshore.config.positions import KeyPath, LineIndex, Position, Positions, path_text

__all__ = ["MAX_DEPTH", "JsoncError", "parse_jsonc"]

MAX_DEPTH: Final = 64
"""Deeper nesting is an error: nothing of ours has more than six levels, and ``vars`` are values, not documents."""

_GAP: Final = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"((?:[^"\\\x00-\x1f]|\\.)*)"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ESCAPE: Final = re.compile(r"\\u([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\(.)")
_ESCAPED: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final[dict[str, object]] = {"true": True, "false": False, "null": None}
# Python refuses to read integers of more than 4,300 digits; no double has more than 309.
_MAX_DIGITS: Final = 310


class JsoncError(Exception):
    """The text is no JSON; ``position`` says where it stops to be."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def parse_jsonc(text: str) -> tuple[Any, Positions]:
    """Parse a document.

    Returns:
        The value, and the position of each key and array item.

    Raises:
        JsoncError: the text is not JSON, not even with comments and trailing commas.
    """
    reader = _Reader(text.replace("\r\n", "\n"))
    value = reader.value(())
    reader.gap()
    if reader.at < len(reader.text):
        raise reader.error("text behind the end of the document")
    return value, reader.positions


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.positions = Positions()
        self.lines = LineIndex(text)

    def value(self, path: KeyPath) -> Any:
        self.gap()
        start = self.text[self.at : self.at + 1]
        if start in {"{", "["} and len(path) >= MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} levels deep")
        if start == "{":
            return self.members(path)
        if start == "[":
            return self.items(path)
        if start == '"':
            return self.string()
        return self.number_or_word()

    def members(self, path: KeyPath) -> dict[str, Any]:
        self.at += 1
        result: dict[str, Any] = {}
        while not self.ends("}", result, "object"):
            start = self.at
            if not self.text.startswith('"', start):
                raise self.error("expected a key in double quotes" + self.found())
            key = self.string()
            position = self.lines.position(start, self.at - start)
            if key in result:
                first = self.positions.places[(*path, key)].line
                raise JsoncError(f"{path_text((*path, key))} stands twice, first in line {first}", position)
            self.positions.add((*path, key), position)
            self.take(":", f"behind the key {key!r}")
            result[key] = self.value((*path, key))
        return result

    def items(self, path: KeyPath) -> list[Any]:
        self.at += 1
        result: list[Any] = []
        while not self.ends("]", result, "array"):
            start = self.at
            item = (*path, len(result))
            result.append(self.value(item))
            self.positions.add(item, self.lines.position(start, self.at - start))
        return result

    def ends(self, bracket: str, so_far: object, what: str) -> bool:
        """Move to the next item or past the bracket that ends all; both a comma and the end are checked here."""
        self.gap()
        if so_far and not self.text.startswith(bracket, self.at):
            if not self.text.startswith(",", self.at):
                raise self.error(f"expected ',' or {bracket!r} in the {what}" + self.found())
            self.at += 1
            self.gap()
        if self.text.startswith(bracket, self.at):
            self.at += 1
            return True
        return False

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise self.error("a string that does not end in its line, or holds a control character")
        start, self.at = self.at, match.end()
        try:
            return _ESCAPE.sub(_unescaped, match[1])
        except ValueError as error:
            raise JsoncError(str(error), self.lines.position(start, match.end() - start)) from None

    def number_or_word(self) -> Any:
        if match := _NUMBER.match(self.text, self.at):
            value = _number(match[0])
            if value is None:
                raise self.error(f"a number of {len(match[0])} characters that no float can hold")
            self.at = match.end()
            return value
        word = _WORD.match(self.text, self.at)
        if word is None or word[0] not in _WORDS:
            raise self.error("expected a value" + self.found())
        self.at = word.end()
        return _WORDS[word[0]]

    def gap(self) -> None:
        match = _GAP.match(self.text, self.at)
        assert match is not None, "the pattern matches the empty text"
        self.at = match.end()
        if self.text.startswith("/*", self.at):
            raise self.error("a comment that does not end: write '*/'")

    def take(self, character: str, where: str) -> None:
        self.gap()
        if not self.text.startswith(character, self.at):
            raise self.error(f"expected {character!r} {where}" + self.found())
        self.at += 1

    def found(self) -> str:
        if self.at >= len(self.text):
            return ", found the end of the file"
        word = _WORD.match(self.text, self.at)
        return f", found {(word[0] if word else self.text[self.at])[:40]!r}"

    def error(self, message: str) -> JsoncError:
        return JsoncError(message, self.lines.position(self.at))


def _unescaped(match: re.Match[str]) -> str:
    high, low, unit, letter = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if unit:
        code = int(unit, 16)
        if 0xD800 <= code <= 0xDFFF:
            raise ValueError(f"\\u{unit} is half of a character: write both halves")
        return chr(code)
    if letter not in _ESCAPED:
        raise ValueError(f"unknown escape '\\{letter}': write '\\\\' for a backslash")
    return _ESCAPED[letter]


def _number(text: str) -> float | None:
    """Return the value, an int where the text has neither point nor exponent; None when it is too large."""
    if len(text) > _MAX_DIGITS:
        return None
    value = float(text) if set(text) & set(".eE") else int(text)
    return None if value in (float("inf"), float("-inf")) else value
