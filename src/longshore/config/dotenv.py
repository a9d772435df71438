r"""``.dev.vars`` and ``.env`` files: ``NAME=value`` lines (PURE).

======================  ============================================================================================
``NAME=value``          up to the end of the line or `` #``, without the spaces around it
``NAME='value'``        as it stands, over several lines too
``NAME=`value```        the same
``NAME="value"``        the same, with ``\n``, ``\r``, ``\t``, ``\"`` and ``\\`` for those characters
``export NAME=value``   the same as without ``export``
``# …``                 a comment
======================  ============================================================================================

Strict where the readers of this format disagree: a ``#`` in the middle of an unquoted value, text behind a closing
quote and a name that stands twice are errors. Nothing is expanded: ``$`` is a character of a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from longshore.config.errors import ConfigError, Problem

__all__ = ["DotenvValue", "parse_dotenv"]

_GAP: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME: Final = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_QUOTED: Final = re.compile(r"""'([^']*)'|`([^`]*)`|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_REST: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
_LINE: Final = re.compile(r"[^\n]*")
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class DotenvValue:
    """A value of such a file, and where it stands."""

    value: str
    file: str
    line: int


def parse_dotenv(text: str, file: str) -> dict[str, DotenvValue]:
    """Parse a file.

    Args:
        text: what it holds.
        file: its name for messages.

    Raises:
        ConfigError: with every line that is wrong; no value is in a message.
    """
    reader = _Reader(text.replace("\r\n", "\n"), file)
    reader.read()
    if reader.problems:
        raise ConfigError(reader.problems)
    return reader.values


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.values: dict[str, DotenvValue] = {}
        self.problems: list[Problem] = []

    def read(self) -> None:
        while True:
            self.take(_GAP)
            if self.at >= len(self.text):
                return
            start = self.at
            name = _NAME.match(self.text, start)
            if name is None:
                self.report(start, "", "not of the form NAME=value", "write a comment with '#' in front")
                self.take(_LINE)
                continue
            self.at = name.end()
            value = self.value(name[1], start)
            if value is not None:
                self.add(name[1], value, start)

    def add(self, name: str, value: str, start: int) -> None:
        if name in self.values:
            self.report(start, name, f"stands twice, first in line {self.values[name].line}", "remove one of them")
        elif "\x00" in value:
            self.report(start, name, "holds a NUL character", "remove it")
        else:
            self.values[name] = DotenvValue(value, self.file, self.line(start))

    def value(self, name: str, start: int) -> str | None:
        if self.text[self.at : self.at + 1] in {"'", '"', "`"}:
            return self.quoted(name, start)
        line = self.take(_LINE)
        value = _COMMENT.sub("", line).strip()
        if "#" in value:
            hint = "put the value in quotes, or a space before the comment"
            self.report(start, name, "has '#' inside a value without quotes", hint)
            return None
        return value

    def quoted(self, name: str, start: int) -> str | None:
        match = _QUOTED.match(self.text, self.at)
        if match is None:
            self.report(start, name, f"has an opening {self.text[self.at]} and no closing one", "close the quotes")
            # Nobody knows where the value was meant to end.
            self.at = len(self.text)
            return None
        self.at = match.end()
        if _REST.match(self.text, self.at) is None:
            self.report(start, name, "has text behind the closing quote", "put all of it into quotes")
            self.take(_LINE)
            return None
        literal, backticked, escaped = match.groups()
        if escaped is not None:
            return _ESCAPE.sub(lambda each: _ESCAPED.get(each[1], each[0]), escaped)
        return str(literal if literal is not None else backticked)

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, "the pattern matches the empty text"
        self.at = match.end()
        return match[0]

    def line(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def report(self, offset: int, name: str, message: str, hint: str) -> None:
        end = self.text.find("\n", offset)
        source = self.text[offset : end if end >= 0 else len(self.text)]
        self.problems.append(
            Problem(
                message=message,
                key_path=name,
                hint=hint,
                file=self.file,
                line=self.line(offset),
                column=1,
                length=max(1, len(name)),
                source_line=source,
                is_secret=True,
            )
        )
