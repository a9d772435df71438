"""Finds the code blocks of the documentation.

The rules, which ``tests/docs/test_examples.py`` enforces:

* every block says its language, and one of ``LANGUAGES``;
* a ``python`` block is complete, imports included, and is run; it may ``await`` at the top level, as in
  ``python -m asyncio``, or be a script that calls ``asyncio.run()``;
* a ``text`` block that directly follows a ``python`` block is what it prints; ``…`` stands for any text in one line;
* a ``python`` block that defines ``Default`` or ``on_fetch`` is a worker: it runs with the last ``toml`` block before
  it that has a ``name``, and is asked what the ``$ curl`` lines of a ``console`` block right behind it ask (``/`` where
  there is none); what stands below such a line is the answer;
* a ``python`` block that defines ``test_…`` functions is run by pytest, in the project of the worker before it.

There is no way to say that a ``python`` block is not run. What cannot run is ``text``.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

__all__ = [
    "LANGUAGES",
    "ROOT",
    "Block",
    "blocks_of",
    "documents",
    "is_test",
    "is_worker",
    "matches",
    "plain_examples",
    "project_tests",
    "worker_examples",
]

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
    session: str = ""
    """For ``python``: the ``console`` block right behind it."""
    config: str = ""
    """For ``python``: the last ``toml`` block before it that names a worker."""
    worker: str = ""
    """For ``python``: the last worker before it, or itself."""

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
        if found and not any(line.strip() for line in lines[end_of_last + 1 : number]):
            found[-1] = _followed_by(found[-1], block)
        found.append(block)
        end_of_last, number = end, end + 1
    return _with_projects(found)


def _followed_by(block: Block, follower: Block) -> Block:
    """Return the block with what the one right behind it says about it."""
    if block.info != "python":
        return block
    if follower.info == "text":
        return replace(block, output=follower.code)
    return replace(block, session=follower.code) if follower.info == "console" else block


def _with_projects(blocks: list[Block]) -> list[Block]:
    """Return the blocks with the configuration and the worker that stand before them on the page."""
    config = worker = ""
    found = []
    for block in blocks:
        if block.info == "toml" and re.match(r"name\s*=", block.code):
            config = block.code
        worker = block.code if block.info == "python" and is_worker(block) else worker
        found.append(replace(block, config=config, worker=worker) if block.info == "python" else block)
    return found


def _closing(lines: list[str], opening: int, fence: str, path: Path) -> int:
    for number in range(opening + 1, len(lines)):
        if lines[number].rstrip() == fence:
            return number
    raise ValueError(f"{path.relative_to(ROOT)}:{opening + 1}: the block is not closed")


def _names(block: Block) -> set[str]:
    """Return what the block defines at its top level."""
    names: set[str] = set()
    for node in ast.parse(block.code).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def is_worker(block: Block) -> bool:
    """Return whether a ``python`` block is the main module of a worker."""
    return bool(_names(block) & {"Default", "on_fetch"})


def is_test(block: Block) -> bool:
    """Return whether a ``python`` block is a test module."""
    return any(name.startswith("test_") for name in _names(block))


def _examples() -> list[Block]:
    return [block for path in documents() for block in blocks_of(path) if block.info == "python"]


def plain_examples() -> list[Block]:
    """Return every ``python`` block that is a program, in the order of the pages."""
    return [block for block in _examples() if not is_worker(block) and not is_test(block)]


def worker_examples() -> list[Block]:
    """Return every worker."""
    return [block for block in _examples() if is_worker(block)]


def project_tests() -> list[Block]:
    """Return every test module."""
    return [block for block in _examples() if is_test(block) and not is_worker(block)]


def matches(expected: str, printed: str) -> bool:
    """Return whether a program printed what the page says."""
    pattern = r"[^\n]*?".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.replace("\r\n", "\n").strip()) is not None
