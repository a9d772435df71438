"""Check the size budget: files, classes and function bodies stay small enough to read at once.

A docstring does not count as part of a function's body. Above the first limit a warning is
printed; above the second the check fails. Run: ``python -m tools.check_sizes``.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["LIMITS", "Size", "check_files", "sizes"]

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tests", "tools", "bench", "examples", "docs")

LIMITS = {"file": (500, 800), "class": (300, 500), "function": (40, 80)}
"""Lines at which a warning and a failure begin."""


@dataclass(frozen=True)
class Size:
    """How many lines something has."""

    kind: str
    where: str
    lines: int

    @property
    def verdict(self) -> str:
        """``""``, ``"warning"`` or ``"error"``."""
        soft, hard = LIMITS[self.kind]
        return "error" if self.lines > hard else "warning" if self.lines > soft else ""

    def __str__(self) -> str:
        soft, hard = LIMITS[self.kind]
        has = f"{self.kind} has {self.lines} lines"
        return f"{self.verdict}: {self.where}: {has}; aim at {soft}, never above {hard}"


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def sizes(source: str, shown: str) -> Iterator[Size]:
    """Measure a module and everything in it."""
    yield Size("file", shown, len(source.splitlines()))
    for node in ast.walk(ast.parse(source, shown)):
        if isinstance(node, ast.ClassDef):
            where = f"{shown}:{node.lineno} {node.name}"
            yield Size("class", where, (node.end_lineno or 0) - node.lineno + 1)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Size("function", f"{shown}:{node.lineno} {node.name}", body_lines(node))


def check_files(files: Iterable[Path], root: Path) -> list[Size]:
    """Return everything above its budget, the largest last."""
    found = [
        size
        for file in files
        for size in sizes(file.read_text(encoding="utf-8"), str(file.relative_to(root)))
        if size.verdict
    ]
    return sorted(found, key=lambda size: (size.verdict == "error", size.lines))


def main() -> int:
    """Check the repository; return the exit code."""
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    found = check_files(files, ROOT)
    for size in found:
        print(size)
    errors = sum(size.verdict == "error" for size in found)
    print(f"{len(files)} files measured, {len(found) - errors} above the budget, {errors} above the limit")
    return 1 if errors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SyntaxError as error:
        sys.exit(f"{error.filename}:{error.lineno}: {error.msg}")
