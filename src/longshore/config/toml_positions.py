"""Where the keys of a TOML document stand, which ``tomllib`` does not say (PURE).

A scanner for documents that ``tomllib`` has accepted: it knows where keys, strings, arrays and tables begin and end,
and judges nothing. On anything else it stops and keeps what it has: a position serves a message and decides nothing.
"""

from __future__ import annotations

import re
from typing import Final

from longshore.config.positions import KeyPath, LineIndex, Positions

__all__ = ["toml_positions"]

_SPACE: Final = re.compile(r"[ \t]*")
_GAP: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}\n#]+")
# The longest form first. A quotation mark may stand before the three that end a multi-line string.
_STRING: Final = re.compile(
    r"""
      \"{3}(?:[^\\"]|\\.|"(?!""))*"{3,5}
    | '{3}(?:[^']|'(?!''))*'{3,5}
    | "(?:[^\\"\n]|\\.)*"
    | '[^'\n]*'
    """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class _Unreadable(Exception):
    """The text is not what tomllib accepts; the scan ends here."""


def toml_positions(text: str) -> Positions:
    """Return the position of each key and array item of a document; never raises."""
    # As tomllib does; offsets then agree with lines as an editor counts them.
    scanner = _Scanner(text.replace("\r\n", "\n"))
    try:
        scanner.document()
    except (_Unreadable, RecursionError):
        pass
    return scanner.positions


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.positions = Positions()
        self.lines = LineIndex(text)
        self.table: KeyPath = ()
        # How many tables each array of tables has so far.
        self.counts: dict[KeyPath, int] = {}

    def document(self) -> None:
        while True:
            self.skip(_GAP)
            if self.at >= len(self.text):
                return
            if self.text.startswith("[[", self.at):
                self.array_header()
            elif self.text[self.at] == "[":
                self.table_header()
            else:
                self.pair(self.table)

    def table_header(self) -> None:
        self.at += 1
        keys, start, end = self.key()
        self.take("]")
        path = self.inside_last(keys[:-1])
        self.table = (*path, keys[-1])
        self.mark_all(self.table, start, end)

    def array_header(self) -> None:
        self.at += 2
        keys, start, end = self.key()
        self.take("]")
        self.take("]")
        path: KeyPath = (*self.inside_last(keys[:-1]), keys[-1])
        index = self.counts.get(path, 0)
        self.counts[path] = index + 1
        self.table = (*path, index)
        self.mark_all(self.table, start, end)

    def inside_last(self, keys: list[str]) -> KeyPath:
        """Return the path that ``keys`` means in a header: where one names an array of tables, its last table."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        return path

    def pair(self, table: KeyPath) -> None:
        keys, start, end = self.key()
        path = (*table, *keys)
        self.mark_all(path, start, end)
        self.take("=")
        self.value(path)

    def key(self) -> tuple[list[str], int, int]:
        """Read a dotted key; return its parts and where it begins and ends."""
        self.skip(_SPACE)
        start = self.at
        keys = [self.simple_key()]
        end = self.at
        while self.skip(_SPACE).startswith(".", self.at):
            self.at += 1
            self.skip(_SPACE)
            keys.append(self.simple_key())
            end = self.at
        return keys, start, end

    def simple_key(self) -> str:
        if bare := _BARE_KEY.match(self.text, self.at):
            self.at = bare.end()
            return bare[0]
        quoted = _STRING.match(self.text, self.at)
        if quoted is None:
            raise _Unreadable
        self.at = quoted.end()
        inside = quoted[0][1:-1]
        return inside if quoted[0][0] == "'" else _ESCAPE.sub(_unescaped, inside)

    def value(self, path: KeyPath) -> None:
        self.skip(_SPACE)
        if self.text.startswith("[", self.at):
            self.array(path)
        elif self.text.startswith("{", self.at):
            self.inline_table(path)
        else:
            scalar = _STRING.match(self.text, self.at) or _BARE_VALUE.match(self.text, self.at)
            if scalar is None:
                raise _Unreadable
            self.at = scalar.end()

    def array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while not self.ends("]"):
            item: KeyPath = (*path, index)
            start = self.at
            self.value(item)
            # Over what its first key has left there.
            self.positions.places[item] = self.lines.position(start, self.at - start)
            index += 1
            if not self.skip(_GAP).startswith("]", self.at):
                self.take(",")

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while not self.ends("}"):
            self.pair(path)
            if not self.skip(_GAP).startswith("}", self.at):
                self.take(",")

    def ends(self, bracket: str) -> bool:
        self.skip(_GAP)
        if self.at >= len(self.text):
            raise _Unreadable
        if not self.text.startswith(bracket, self.at):
            return False
        self.at += 1
        return True

    def take(self, character: str) -> None:
        self.skip(_SPACE)
        if not self.text.startswith(character, self.at):
            raise _Unreadable
        self.at += 1

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Move past ``pattern``, which matches everywhere; return the whole text."""
        match = pattern.match(self.text, self.at)
        assert match is not None, "the pattern matches the empty text"
        self.at = match.end()
        return self.text

    def mark_all(self, path: KeyPath, start: int, end: int) -> None:
        """Mark ``path`` and what it brings into being: ``a.b = 1`` also begins ``a``."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.positions.places and length < len(path):
                return
            self.mark(path[:length], start, end)

    def mark(self, path: KeyPath, start: int, end: int) -> None:
        self.positions.add(path, self.lines.position(start, end - start))


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    if digits:
        code = int(digits, 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    return _ESCAPED.get(match[3], match[3])
