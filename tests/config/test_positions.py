"""Key paths and places."""

from __future__ import annotations

import pytest

from longshore.config.positions import KeyPath, LineIndex, Position, Positions, path_text

PATHS: list[tuple[KeyPath, str]] = [
    ((), ""),
    (("name",), "name"),
    (("env", "production", "hyperdrive", 0, "binding"), "env.production.hyperdrive[0].binding"),
    (("vars", "a b"), 'vars."a b"'),
    (("vars", 'say "hi"'), 'vars."say \\"hi\\""'),
    (("$schema",), '"$schema"'),
]


@pytest.mark.parametrize(("path", "text"), PATHS)
def test_a_path_reads_as_in_documentation(path: KeyPath, text: str) -> None:
    assert path_text(path) == text


def test_the_place_of_an_unknown_path_is_that_of_the_nearest_around_it() -> None:
    positions = Positions()
    positions.add(("a",), Position(2, 1))
    positions.add(("a",), Position(9, 9))
    assert positions.find(("a", "b", 3)) == Position(2, 1)
    assert positions.find(("b",)) is None


@pytest.mark.parametrize(
    ("offset", "length", "position"),
    [
        (0, 2, Position(1, 1, 2)),
        (1, 9, Position(1, 2, 1)),
        (2, 1, Position(1, 3, 1)),
        (3, 3, Position(2, 1, 3)),
        (6, 1, Position(2, 4, 1)),
    ],
)
def test_offsets_become_lines_and_columns(offset: int, length: int, position: Position) -> None:
    assert LineIndex("ab\ncde").position(offset, length) == position
