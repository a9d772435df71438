"""Where each key of a document stands: the common part of the TOML scanner and the JSONC reader (PURE)."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ["KeyPath", "LineIndex", "Position", "Positions", "path_text"]

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys of tables and indexes of arrays, from the root to the value."""

# What needs no quotes in TOML; binding names and every key of ours are of this form.
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def path_text(path: KeyPath) -> str:
    """Return a key path as people write it: ``env.production.hyperdrive[0].binding``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if _BARE_KEY.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{shown}" if text else shown
    return text


@dataclass(frozen=True, slots=True)
class Position:
    """Where a key, or an item of an array, begins."""

    line: int
    """Counted from 1."""
    column: int
    """Counted from 1, in characters."""
    length: int = 1
    """How many characters the key has, quotes included."""


@dataclass(slots=True)
class Positions:
    """The positions of a whole document."""

    places: dict[KeyPath, Position] = field(default_factory=dict)

    def add(self, path: KeyPath, position: Position) -> None:
        """Record where ``path`` was first written."""
        self.places.setdefault(path, position)

    def find(self, path: KeyPath) -> Position | None:
        """Return the position of ``path``, or of the nearest key around it; None for a document without any."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return None


class LineIndex:
    """Turns offsets into lines and columns; a line ends in LF (CRLF is one end, as in both formats)."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text) + 1]

    def position(self, offset: int, length: int = 1) -> Position:
        """Return the position of the character at ``offset``; a ``length`` beyond the line is cut."""
        line = bisect_right(self.starts, offset, hi=len(self.starts) - 1)
        rest = self.starts[line] - 1 - offset
        return Position(line, offset - self.starts[line - 1] + 1, max(1, min(length, rest)))
