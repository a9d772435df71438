"""Write the tables of ``docs/reference/socket-lifecycle.md`` from what is tested and from what runs.

The settle matrix comes from ``tests/sockets/settle_matrix.py``, the state table from
``longshore.sockets._lifecycle``. Both stand between marker comments in the page; the prose around them is written
by hand. Run: ``python -m tools.gen_lifecycle_table`` to write, with ``--check`` to compare only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.sockets._lifecycle import TERMINAL, TRANSITIONS
from tests.sockets.settle_matrix import ACCEPTED, BYTES_THEN, EOF, GONE, PENDING, RESOLVES, SECTIONS, WAITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.sockets.settle_matrix import Row

__all__ = ["PAGE", "generated"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "socket-lifecycle.md"
_WORDS = {RESOLVES, PENDING, EOF, WAITS, ACCEPTED, GONE}


def generated(page: str) -> str:
    """Return the page with its generated parts renewed.

    Raises:
        ValueError: a marker is missing.
    """
    page = _replaced(page, "settle matrix", _matrix())
    return _replaced(page, "state table", _states())


def _replaced(page: str, part: str, lines: Iterable[str]) -> str:
    begin, end = f"<!-- begin {part}: made by tools/gen_lifecycle_table.py -->", f"<!-- end {part} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{PAGE.name} must hold the lines {begin!r} and {end!r}")
    return "\n".join([before + begin, "", *lines, "", end + after])


def _matrix() -> Iterator[str]:
    for number, section in enumerate(SECTIONS):
        if number:
            yield ""
        yield f"### {section.title}"
        yield ""
        yield "| event | `opened` | `closed` | a read | a write |"
        yield "|---|---|---|---|---|"
        yield from map(_row, section.rows)


def _row(row: Row) -> str:
    closed = _cell(row.closed)
    if row.closed_after_read is not None:
        closed += f"; {_cell(row.closed_after_read)} once it is read"
    cells = (row.title, _cell(row.opened), closed, _cell(row.readable), _cell(row.writable))
    return f"| {' | '.join(cells)} |"


def _cell(word: str) -> str:
    if word.startswith(BYTES_THEN):
        return BYTES_THEN + _cell(word.removeprefix(BYTES_THEN))
    return word if word in _WORDS else f"`{word}`"


def _states() -> Iterator[str]:
    yield "| state | event | next state | what is done |"
    yield "|---|---|---|---|"
    for state, events in TRANSITIONS.items():
        name = _words(state.name)
        if state in TERMINAL:
            yield f"| **{name}** | *(every event is ignored)* | | |"
        for event, (following, actions) in events.items():
            done = ", ".join(_words(action.name) for action in actions)
            yield f"| **{name}** | {_words(event.name)} | **{_words(following.name)}** | {done} |"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.gen_lifecycle_table [--check]")
        return 64
    found = PAGE.read_text(encoding="utf-8")
    wanted = generated(found)
    if arguments and found != wanted:
        print(f"{PAGE.name} differs from the tested table: run python -m tools.gen_lifecycle_table")
        return 1
    if found != wanted:
        PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
