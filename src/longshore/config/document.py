"""A configuration file as parsed text: its values and where each stands (PURE)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from longshore.config.errors import ConfigError, Problem
from longshore.config.jsonc import JsoncError, parse_jsonc
from longshore.config.positions import KeyPath, Position, Positions, path_text
from longshore.config.toml_positions import toml_positions

__all__ = ["Document", "decode_text", "parse_document"]

# How tomllib ends its messages; Python 3.11 offers no attributes.
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# What gives a line away that may hold a password.
_SECRET_VALUE: Final = re.compile(r"://|@")
_SECRET_LINE: Final = re.compile(r"://|@|pass|secret|token|key|pwd|connection", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file."""

    file: str
    """As a person would name it, for messages."""
    lines: tuple[str, ...]
    values: dict[str, Any]
    positions: Positions

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        """Return a problem of the value at ``path``, with its line."""
        place = self.positions.find(path)
        # `secrets.required` is a list of names; below `hyperdrive` everything may be a part of a connection string.
        pattern = _SECRET_VALUE if "secrets" in path else _SECRET_LINE
        is_secret = "hyperdrive" in path or pattern.search(self.source_line(place)) is not None
        return _problem(self, place, path_text(path), message, hint, is_secret=is_secret)

    def source_line(self, place: Position | None) -> str:
        """Return the line that a position is in; nothing for a document without lines."""
        return self.lines[place.line - 1] if place is not None and place.line <= len(self.lines) else ""

    def line(self, path: KeyPath) -> int | None:
        """Return the line of ``path``, or of the nearest key around it."""
        place = self.positions.find(path)
        return place.line if place else None


def _problem(
    source: Document, place: Position | None, key_path: str, message: str, hint: str, *, is_secret: bool
) -> Problem:
    if place is None:
        return Problem(message=message, key_path=key_path, hint=hint, file=source.file)
    return Problem(
        message=message,
        key_path=key_path,
        hint=hint,
        file=source.file,
        line=place.line,
        column=place.column,
        length=place.length,
        source_line=source.source_line(place),
        is_secret=is_secret,
    )


def _syntax_problem(source: Document, place: Position | None, message: str, hint: str = "") -> Problem:
    is_secret = _SECRET_LINE.search(source.source_line(place)) is not None
    return _problem(source, place, "", message, hint, is_secret=is_secret)


def decode_text(data: bytes, file: str) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        message = f"not UTF-8: byte 0x{byte:02x} at offset {error.start}"
        problem = Problem(message=message, hint="save the file as UTF-8", file=file, line=line)
        raise ConfigError([problem]) from error


def parse_document(text: str, file: str) -> Document:
    """Parse a configuration file; its name says whether it is TOML or JSON.

    Args:
        text: what the file holds.
        file: its name for messages.

    Raises:
        ConfigError: the text is not of that format.
    """
    if file.endswith(".toml"):
        return _parse_toml(text, file)
    return _parse_json(text, file)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.replace("\r\n", "\n").split("\n"))


def _parse_toml(text: str, file: str) -> Document:
    source = Document(file, _lines(text), {}, Positions())
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_toml_problem(source, str(error))]) from error
    except RecursionError:
        raise ConfigError([_problem(source, None, "", "nested too deep", "", is_secret=False)]) from None
    except ValueError as error:
        # Python reads no integer of more than 4,300 digits; tomllib lets that through as it is.
        problem = _problem(source, None, "", "not valid TOML: a number with too many digits", "", is_secret=False)
        raise ConfigError([problem]) from error
    return Document(file, source.lines, values, toml_positions(text))


def _toml_problem(source: Document, message: str) -> Problem:
    """Turn "Invalid value (at line 3, column 5)" into a problem with a place."""
    match = _TOML_PLACE.search(message)
    place = None
    if match is not None:
        message = message[: match.start()]
        line, column = (int(match[1]), int(match[2])) if match[1] else (len(source.lines), len(source.lines[-1]) + 1)
        place = Position(line, column)
    text = f"not valid TOML: {message[:1].lower()}{message[1:]}"
    hint = 'text stands in quotes, like name = "hello"' if message == "Invalid value" else ""
    return _syntax_problem(source, place, text, hint)


def _parse_json(text: str, file: str) -> Document:
    source = Document(file, _lines(text), {}, Positions())
    try:
        values, positions = parse_jsonc(text)
    except JsoncError as error:
        raise ConfigError([_syntax_problem(source, error.position, f"not valid JSON: {error.message}")]) from error
    if not isinstance(values, dict):
        raise ConfigError([_problem(source, Position(1, 1), "", "not an object: write '{…}'", "", is_secret=False)])
    return Document(file, source.lines, values, positions)
