"""A ``ConfigError`` for a person: each problem with its line, and the key underlined.

A line that may hold a secret is shown as its key alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.text import Text

from longshore.cli.console import speaks_unicode
from longshore.cli.words import printable

if TYPE_CHECKING:
    from rich.console import Console

    from longshore.config.errors import ConfigError, Problem

__all__ = ["render_config_error"]

_KEY: Final = re.compile(r"""(["']?)([A-Za-z0-9_.-]+)\1""")
_PARTS: Final = re.compile(r"[.\[\]]+")
# A longer line is cut around its key, so that it stays one line in most terminals.
_MAX_LINE_CHARS: Final = 100
_BEFORE_KEY_CHARS: Final = 30


def render_config_error(error: ConfigError, console: Console) -> None:
    """Print every problem: ``file:line``, the source line with the key underlined, what is wrong, what to do."""
    for index, problem in enumerate(error.problems):
        if index:
            console.print()
        _render_problem(problem, console)
    if len(error.problems) > 1:
        console.print()
        console.print(Text(f"{len(error.problems)} problems", style="bold red"))


def _render_problem(problem: Problem, console: Console) -> None:
    place = printable(problem.file or "configuration")
    if problem.file and problem.line is not None:
        place += f":{problem.line}"
    bar = "│" if speaks_unicode(console) else "|"
    head = Text.assemble(("error", "bold red"), " ", (place, "bold"))
    if problem.key_path:
        head.append(f"  {printable(problem.key_path)}", style="cyan")
    console.print(head, soft_wrap=True)
    gutter = ""
    if problem.line is not None and problem.source_line is not None:
        number = f" {problem.line} "
        gutter = " " * len(number)
        line, start, length = _excerpt(problem, problem.source_line)
        console.print(Text.assemble((f"{number}{bar} ", "dim"), line), soft_wrap=True)
        if length:
            marks = Text.assemble((f"{gutter}{bar} ", "dim"), " " * start, ("^" * length, "bold red"))
            console.print(marks, soft_wrap=True)
    console.print(Text(f"{gutter}  {printable(problem.message)}".rstrip()), soft_wrap=True)
    if problem.hint:
        console.print(Text(f"{gutter}  {printable(problem.hint)}", style="green"), soft_wrap=True)


def _excerpt(problem: Problem, source: str) -> tuple[str, int, int]:
    """Return what may be shown of the line, and where in it the key begins and how long it is."""
    column = (problem.column or 1) - 1
    length = problem.length if problem.column is not None else 0
    if problem.is_secret:
        match = _KEY.match(source, column)
        # What is no part of the key path is a value.
        if match is None or match[2] not in _PARTS.split(problem.key_path):
            return "… (hidden)", 0, 0
        return f"{printable(match[0])} … (hidden)", 0, len(printable(match[0]))
    begin = max(0, column - _BEFORE_KEY_CHARS) if len(source) > _MAX_LINE_CHARS else 0
    cut = source[begin : begin + _MAX_LINE_CHARS]
    before, key = source[begin:column], source[column : column + length][: _MAX_LINE_CHARS - _BEFORE_KEY_CHARS]
    left = "…" if begin else ""
    right = "…" if begin + len(cut) < len(source) else ""
    text = f"{left}{_flat(cut)}{right}"
    return text, Text(f"{left}{_flat(before)}").cell_len, Text(_flat(key)).cell_len or min(1, length)


def _flat(text: str) -> str:
    """Return text of one column for each tab, without anything that moves the cursor."""
    return printable(text.replace("\t", " ").replace("\n", " "))
