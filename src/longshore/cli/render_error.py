"""An ``ErrorReport`` as lines: the user's own code with its source, everybody else's folded into one line."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.syntax import Syntax
from rich.text import Text

from longshore.cli.words import library_of, place, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from longshore.proto.ipc.messages import ErrorReport, SourceFrame

__all__ = ["error_lines", "headline"]

MAX_CAUSES: Final = 5
"""A chain longer than this is a loop or nobody reads it."""
CONTEXT_LINES: Final = 2
"""Lines of source before and after the one that raised; frames further out get none."""


def headline(report: ErrorReport) -> str:
    """Return ``ValueError: no such customer``, in one line."""
    message = printable(report.message).strip().replace("\n", " ")
    if report.message and report.message == report.text.partition("\n")[0]:
        return message  # the host's own words about a worker that could not speak, and no exception of Python's
    return f"{printable(report.type)}: {message}" if message else printable(report.type)


def error_lines(report: ErrorReport, project_dir: str = "") -> list[Text]:
    """Return what stands below the headline: frames, notes and causes."""
    lines = [*_frames(report, project_dir), *_notes(report)]
    cause = report.cause
    for _ in range(MAX_CAUSES):
        if cause is None:
            break
        lines.append(Text.assemble(("  caused by ", "dim"), (headline(cause), "red")))
        lines += [*_frames(cause, project_dir), *_notes(cause)]
        cause = cause.cause
    return lines


def _notes(report: ErrorReport) -> Iterator[Text]:
    for note in report.notes:
        for line in printable(note).splitlines():
            yield Text(f"    {line}", style="yellow")


def _frames(report: ErrorReport, project_dir: str) -> Iterator[Text]:
    frames = report.frames
    users = [frame for frame in frames if frame.is_users]
    innermost = users[-1] if users else None
    for is_users, group in groupby(frames, key=lambda frame: frame.is_users):
        if not is_users:
            yield _folded(list(group))
            continue
        for frame in group:
            yield Text.assemble("    ", (place(frame, project_dir), "bold" if frame is innermost else ""))
            yield from _source(frame, CONTEXT_LINES if frame is innermost else 0)


def _folded(frames: list[SourceFrame]) -> Text:
    libraries = ", ".join(dict.fromkeys(library_of(frame.file) for frame in frames))
    count = "1 frame" if len(frames) == 1 else f"{len(frames)} frames"
    return Text(f"    {count} in {printable(libraries)}", style="dim")


def _source(frame: SourceFrame, context: int) -> Iterator[Text]:
    numbers = range(max(frame.line - context, frame.first_line), frame.line + context + 1)
    available = {frame.first_line + index: line for index, line in enumerate(frame.source)}
    shown = {number: available[number] for number in numbers if number in available}
    width = max((len(str(number)) for number in shown), default=0)
    for (number, _), code in zip(shown.items(), highlighted(shown.values()), strict=True):
        is_it = number == frame.line
        gutter = Text.assemble(
            ("    > " if is_it else "      ", "bold red"), (f"{number:>{width}} | ", "bold" if is_it else "dim")
        )
        yield gutter + code
        if is_it and (marks := _marks(frame, available[number])) is not None:
            yield Text.assemble((f"      {'':>{width}} | ", "dim"), marks)


def _marks(frame: SourceFrame, line: str) -> Text | None:
    """Return the carets below the part of a line that is wrong."""
    if not 0 < frame.column <= len(line) + 1:
        return None
    before, wrong = line[: frame.column - 1], line[frame.column - 1 : max(frame.column, frame.end_column - 1)]
    room = "".join("\t" if char == "\t" else " " * cell_len(char) for char in printable(before))
    return Text.assemble(room, ("^" * max(1, cell_len(printable(wrong.rstrip()))), "bold red"))


def highlighted(lines: Iterable[str]) -> list[Text]:
    """Return lines of Python with the terminal's own colours, the common indentation kept."""
    code = [printable(line.rstrip()) for line in lines]
    coloured = _python().highlight("\n".join(code)).split("\n", allow_blank=True)
    # A lexer may swallow blank lines at the ends; then colours are not worth a wrong line.
    matches = [text.plain for text in coloured[: len(code)]] == code
    return list(coloured[: len(code)]) if matches else [Text(line) for line in code]


@cache
def _python() -> Syntax:
    return Syntax("", "python", theme="ansi_dark", background_color="default")
