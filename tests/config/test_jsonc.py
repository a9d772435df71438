"""The reader of JSON with comments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.jsonc import MAX_DEPTH, JsoncError, parse_jsonc
from longshore.config.positions import Position
from tests.config.documents import SCALARS, VALUES, Places, json_documents

GOOD = [
    ("null", None),
    ("  true", True),
    ("[false,]", [False]),
    ("-0.5e+3", -500.0),
    ("12", 12),
    ('"\\u00e9\\n\\/\\"\\\\\\ud83d\\ude00"', 'é\n/"\\\U0001f600'),
    ('// a\n{"a": /* b\n */ [1, 2,], }// c', {"a": [1, 2]}),
    ("{}", {}),
    ("[ ]", []),
    ('"// no comment"', "// no comment"),
    ("1" * 310, int("1" * 310)),
]


@pytest.mark.parametrize(("text", "value"), GOOD)
def test_what_is_read(text: str, value: object) -> None:
    found, _ = parse_jsonc(text)
    assert found == value
    assert type(found) is type(value)


BAD = [
    ("", 1, 1, "expected a value, found the end of the file"),
    ("{", 1, 2, "expected a key in double quotes, found the end of the file"),
    ("{a: 1}", 1, 2, "expected a key in double quotes, found 'a'"),
    ("{'a': 1}", 1, 2, 'expected a key in double quotes, found "\'"'),
    ('{"a" 1}', 1, 6, "expected ':' behind the key 'a', found '1'"),
    ('{"a": 1 "b": 2}', 1, 9, "expected ',' or '}' in the object, found '\"'"),
    ('{"a": 1,, "b": 2}', 1, 9, "expected a key in double quotes, found ','"),
    ("[1 2]", 1, 4, "expected ',' or ']' in the array, found '2'"),
    ("[1,\n,]", 2, 1, "expected a value, found ','"),
    ("[,]", 1, 2, "expected a value, found ','"),
    ("undefined", 1, 1, "expected a value, found 'undefined'"),
    ("NaN", 1, 1, "expected a value, found 'NaN'"),
    ("+1", 1, 1, "expected a value, found '+'"),
    ("01", 1, 2, "text behind the end of the document"),
    ("{} {}", 1, 4, "text behind the end of the document"),
    ('"a\nb"', 1, 1, "a string that does not end in its line, or holds a control character"),
    ('"a', 1, 1, "a string that does not end in its line, or holds a control character"),
    ('"\\x41"', 1, 1, "unknown escape '\\x': write '\\\\' for a backslash"),
    ('"\\u12"', 1, 1, "unknown escape '\\u': write '\\\\' for a backslash"),
    ('"\\ud83d"', 1, 1, "\\ud83d is half of a character: write both halves"),
    ("[1, /* a", 1, 5, "a comment that does not end: write '*/'"),
    ("1e999", 1, 1, "a number of 5 characters that no float can hold"),
    ("1" * 311, 1, 1, "a number of 311 characters that no float can hold"),
    ('{"a": {"b": 1,\n "b": 2}}', 2, 2, "a.b stands twice, first in line 1"),
    ("[" * (MAX_DEPTH + 1), 1, MAX_DEPTH + 1, f"nested more than {MAX_DEPTH} levels deep"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), BAD)
def test_what_is_wrong_and_where(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(JsoncError) as caught:
        parse_jsonc(text)
    assert caught.value.message == message
    assert (caught.value.position.line, caught.value.position.column) == (line, column)


def test_keys_and_items_have_their_places() -> None:
    _, positions = parse_jsonc('{\n  "a": [1,\n    {"b": 2}]\n}')
    assert positions.places == {
        ("a",): Position(2, 3, 3),
        ("a", 0): Position(2, 9, 1),
        ("a", 1): Position(3, 5, 8),
        ("a", 1, "b"): Position(3, 6, 3),
    }


@given(json_documents())
def test_values_and_places_agree_with_whoever_wrote_the_document(document: tuple[dict[str, Any], str, Places]) -> None:
    table, text, places = document
    found, positions = parse_jsonc(text)
    assert found == table
    lines = {path: positions.places[path].line for path in places}
    assert lines == places


@given(st.one_of(SCALARS, VALUES), st.sampled_from([None, 2]))
def test_what_json_writes_is_read(value: object, indent: int | None) -> None:
    assert parse_jsonc(json.dumps(value, indent=indent))[0] == value


def strict_json(text: str) -> Any:
    """Read JSON, with what this reader refuses refused too."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError
        return dict(pairs)

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    # Raises for half characters and for infinity.
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


@given(st.text(st.sampled_from('{}[]":,\\u0dDeE-+.1tfn/* \n'), max_size=30))
def test_all_of_json_is_read_and_nothing_else_is_raised(text: str) -> None:
    try:
        expected = strict_json(text)
    except ValueError:
        try:
            parse_jsonc(text)
        except JsoncError:
            pass
    else:
        assert parse_jsonc(text)[0] == expected


@given(json_documents(), st.data())
def test_a_cut_document_is_an_error_of_ours(document: tuple[dict[str, Any], str, Places], data: st.DataObject) -> None:
    text = document[1]
    cut = data.draw(st.integers(0, len(text)))
    line = 1
    try:
        parse_jsonc(text[:cut])
    except JsoncError as error:
        line = error.position.line
    assert line <= text.count("\n") + 1
