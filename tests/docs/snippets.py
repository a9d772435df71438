"""Finds the code blocks of the documentation.

The rules, which ``tests/docs/test_examples.py`` enforces:

* every block says its language, and one of ``LANGUAGES``;
* a ``python`` block is complete, imports included, and is run; it may ``await`` at the top level, as in
  ``python -m asyncio``, or be a script that calls ``asyncio.run()``;
* a ``text`` block that directly follows a ``python`` block is what it prints; ``…`` stands for any text in one line.

There is no way to say that a ``python`` block is not run. What cannot run is ``text``.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["LANGUAGES", "ROOT", "Block", "blocks_of", "documents", "example_ids", "matches"]

ROOT: Final = Path(__file__).parents[2]

LANGUAGES: Final = frozenset({"python", "text", "console", "toml"})

_GENERATED: Final = frozenset({"docs/performance.md"})
_OPENING: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced code block."""

    path: Path
    line: int
    """The line of the opening fence, from 1."""
    info: str
    """What stands behind the fence."""
    code: str
    output: str | None = None
    """For ``python``: what it prints, when the page says so."""

    @property
    def id(self) -> str:
        """Return ``docs/tutorial/tls.md:12``."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Return every page: those at the root of the repository and those below ``docs/``."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path for path in found if str(path.relative_to(ROOT)) not in _GENERATED)


def blocks_of(path: Path) -> list[Block]:
    """Return the blocks of a page, each ``python`` one with its output.

    Raises:
        ValueError: a block is not closed.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    end_of_last = -1
    number = 0
    while number < len(lines):
        opening = _OPENING.match(lines[number])
        if opening is None:
            number += 1
            continue
        end = _closing(lines, number, opening["indent"] + opening["fence"], path)
        code = textwrap.dedent("\n".join(lines[number + 1 : end]) + "\n")
        block = Block(path, number + 1, opening["info"].strip(), code)
        follows = not any(line.strip() for line in lines[end_of_last + 1 : number])
        if block.info == "text" and found and found[-1].info == "python" and follows:
            last = found[-1]
            found[-1] = Block(path, last.line, last.info, last.code, code)
        found.append(block)
        end_of_last, number = end, end + 1
    return found


def _closing(lines: list[str], opening: int, fence: str, path: Path) -> int:
    for number in range(opening + 1, len(lines)):
        if lines[number].rstrip() == fence:
            return number
    raise ValueError(f"{path.relative_to(ROOT)}:{opening + 1}: the block is not closed")


def example_ids() -> list[tuple[str, Block]]:
    """Return every ``python`` block with its place, in the order of the pages."""
    return [(block.id, block) for path in documents() for block in blocks_of(path) if block.info == "python"]


def matches(expected: str, printed: str) -> bool:
    """Return whether a program printed what the page says."""
    pattern = r"[^\n]*?".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.replace("\r\n", "\n").strip()) is not None
