"""Where the keys of TOML documents stand."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.positions import KeyPath, Position
from longshore.config.toml_positions import toml_positions
from tests.config.documents import Places, toml_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = '''# first line
name = "a # b"
a.b = [1, {c = "}"},
  3]
[[hyperdrive]]
binding = 'D]B'
[[hyperdrive]]
"bind\\u0069ng" = """
]x""" # c
[hyperdrive.x]
y = 2024-01-01 10:00:00
z = { q = 1, r . s = [ [] ] }
[env."pro duction".vars]
T = """"quoted\\\\"""""
U = \'\'\'it's "fine"\'\'\'
"\\U0001F600\\b\\t" = 1
last = ["a", # x ]
]'''

PLACES: dict[KeyPath, Position] = {
    ("name",): Position(2, 1, 4),
    ("a",): Position(3, 1, 3),
    ("a", "b"): Position(3, 1, 3),
    ("a", "b", 0): Position(3, 8, 1),
    ("a", "b", 1): Position(3, 11, 9),
    ("a", "b", 1, "c"): Position(3, 12, 1),
    ("a", "b", 2): Position(4, 3, 1),
    ("hyperdrive",): Position(5, 3, 10),
    ("hyperdrive", 0): Position(5, 3, 10),
    ("hyperdrive", 0, "binding"): Position(6, 1, 7),
    ("hyperdrive", 1): Position(7, 3, 10),
    ("hyperdrive", 1, "binding"): Position(8, 1, 14),
    ("hyperdrive", 1, "x"): Position(10, 2, 12),
    ("hyperdrive", 1, "x", "y"): Position(11, 1, 1),
    ("hyperdrive", 1, "x", "z"): Position(12, 1, 1),
    ("hyperdrive", 1, "x", "z", "q"): Position(12, 7, 1),
    ("hyperdrive", 1, "x", "z", "r"): Position(12, 14, 5),
    ("hyperdrive", 1, "x", "z", "r", "s"): Position(12, 14, 5),
    ("hyperdrive", 1, "x", "z", "r", "s", 0): Position(12, 24, 2),
    ("env",): Position(13, 2, 22),
    ("env", "pro duction"): Position(13, 2, 22),
    ("env", "pro duction", "vars"): Position(13, 2, 22),
    ("env", "pro duction", "vars", "T"): Position(14, 1, 1),
    ("env", "pro duction", "vars", "U"): Position(15, 1, 1),
    ("env", "pro duction", "vars", "\U0001f600\b\t"): Position(16, 1, 16),
    ("env", "pro duction", "vars", "last"): Position(17, 1, 4),
    ("env", "pro duction", "vars", "last", 0): Position(17, 9, 3),
}


def test_every_form_of_key_has_its_place() -> None:
    tomllib.loads(DOCUMENT)
    assert toml_positions(DOCUMENT).places == PLACES


def test_lines_are_counted_alike_with_carriage_returns() -> None:
    assert toml_positions(DOCUMENT.replace("\n", "\r\n")).places == PLACES


@given(toml_documents())
def test_positions_agree_with_whoever_wrote_the_document(document: tuple[dict[str, Any], str, Places]) -> None:
    table, text, places = document
    assert tomllib.loads(text) == table
    found = toml_positions(text).places
    assert {path: position.line for path, position in found.items()} == places
    assert set(found) == set(paths(table, ()))


def paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


@pytest.mark.parametrize("length", range(len(DOCUMENT)))
def test_a_cut_document_keeps_the_places_before_the_cut(length: int) -> None:
    found = toml_positions(DOCUMENT[:length]).places
    assert {path: position.line for path, position in found.items() if PLACES.get(path)}.items() <= {
        path: position.line for path, position in PLACES.items()
    }.items()


@given(st.text(st.sampled_from("a=[]{}\"'\\\n#., u0F"), max_size=30))
def test_nothing_is_raised_whatever_the_text(text: str) -> None:
    toml_positions(text)


def test_bottomless_nesting_ends_the_scan() -> None:
    assert ("a",) in toml_positions("a = " + "[" * 10_000).places


def test_an_escape_beyond_unicode_is_no_crash() -> None:
    assert ("\ufffd",) in toml_positions('"\\U00110000" = 1').places
