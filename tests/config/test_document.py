"""Files as parsed text."""

from __future__ import annotations

import pytest

from longshore.config.document import _toml_problem, decode_text, parse_document
from longshore.config.errors import ConfigError, Problem

BAD = [
    (
        "longshore.toml",
        "name = hello",
        'longshore.toml:1: not valid TOML: invalid value: text stands in quotes, like name = "hello"',
    ),
    ("longshore.toml", 'name = "a"\nname = "b"', "longshore.toml:2: not valid TOML: cannot overwrite a value"),
    (
        "longshore.toml",
        "a = 1\n\nb = [",
        'longshore.toml:3: not valid TOML: invalid value: text stands in quotes, like name = "hello"',
    ),
    ("longshore.toml", '[a]\nb = "x', "longshore.toml:2: not valid TOML: unterminated string"),
    ("longshore.toml", "a = 2026-02-30", "longshore.toml:1: not valid TOML: invalid date or datetime"),
    ("longshore.toml", "a = " + "[" * 20_000, "longshore.toml: nested too deep"),
    ("longshore.toml", "a = " + "1" * 5000, "longshore.toml: not valid TOML: a number with too many digits"),
    (
        "wrangler.jsonc",
        '{"a": 1,\n b: 2}',
        "wrangler.jsonc:2: not valid JSON: expected a key in double quotes, found 'b'",
    ),
    ("wrangler.json", "[]", "wrangler.json:1: not an object: write '{…}'"),
]


@pytest.mark.parametrize(("file", "text", "message"), BAD)
def test_a_file_that_cannot_be_parsed(file: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, file)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("file", "text"), [("longshore.toml", "[dev]\nport = 1"), ("wrangler.jsonc", '{"dev": {\n"port": 1}}')]
)
def test_values_lines_and_places(file: str, text: str) -> None:
    document = parse_document(text, file)
    assert document.values == {"dev": {"port": 1}}
    assert document.line(("dev", "port")) == 2
    assert document.line(("name",)) is None
    problem = document.problem(("dev", "port"), "is wrong", "mend it")
    assert str(problem) == f"{file}:2: dev.port: is wrong: mend it"
    assert problem.source_line == text.splitlines()[1]
    assert (problem.column, problem.length) == ((1, 4) if file.endswith("toml") else (1, 6))


def test_what_has_no_place_has_no_line() -> None:
    assert parse_document("", "longshore.toml").problem(("main",), "m") == Problem(
        message="m", key_path="main", file="longshore.toml"
    )


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("[dev]\nport = 1", False),
        ('[dev]\nport = "postgres://u:p@h/d"', True),
        ('[vars]\nAPI_KEY = "x"', True),
        ('[vars]\nNAME = "x"', False),
        ('[[hyperdrive]]\nbinding = "x"', True),
        ('[secrets]\nrequired = ["API_KEY"]', False),
        ('secrets = { required = ["X"] } # postgres://u:p@h/d', True),
    ],
)
def test_lines_that_may_hold_a_secret_are_marked(text: str, is_secret: bool) -> None:
    document = parse_document(text, "longshore.toml")
    path = list(document.positions.places)[-1]
    assert document.problem(path, "m").is_secret is is_secret


@pytest.mark.parametrize(("text", "is_secret"), [("a = x", False), ('password = "x', True)])
def test_lines_that_cannot_be_read_are_marked_too(text: str, is_secret: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "longshore.toml")
    assert caught.value.problems[0].is_secret is is_secret


def test_a_message_of_tomllib_without_place_has_no_line() -> None:
    problem = _toml_problem(parse_document("", "longshore.toml"), "Something new")
    assert str(problem) == "longshore.toml: not valid TOML: something new"


def test_text_is_utf8_with_or_without_a_byte_order_mark() -> None:
    assert decode_text(b"\xef\xbb\xbfa", "f") == "a"
    assert decode_text("é".encode(), "f") == "é"
    with pytest.raises(ConfigError) as caught:
        decode_text(b"a\nb\xe9", "longshore.toml")
    assert str(caught.value) == "longshore.toml:2: not UTF-8: byte 0xe9 at offset 3: save the file as UTF-8"
