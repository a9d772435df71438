"""What a person sees of a wrong configuration."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from longshore.cli.config_error import render_config_error
from longshore.config.document import parse_document
from longshore.config.errors import ConfigError, Problem
from longshore.config.validate import validate


def rendered(error: ConfigError, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    render_config_error(error, Console(file=stream, width=60, highlight=False, soft_wrap=True))
    stream.seek(0)
    return "".join(f"{line.rstrip()}\n" for line in stream.read().splitlines())


def of_text(text: str, file: str = "longshore.toml") -> str:
    try:
        found = [problem for _, problem in validate(parse_document(text, file))]
    except ConfigError as error:
        return rendered(error)
    return rendered(ConfigError(found))


CASES = [
    (
        "\n\n[serve]\n  prot = 1 # x",
        """\
error longshore.toml:4  serve.prot
 4 │   prot = 1 # x
   │   ^^^^
     unknown key
     did you mean 'port'?
""",
    ),
    (
        "[triggers]\ncrons = ['* * * * *', '*']",
        """\
error longshore.toml:2  triggers.crons[1]
 2 │ crons = ['* * * * *', '*']
   │                       ^^^
     '*' has 1 field, a cron expression has 5: minute, hour, day of month, month, day of week, like '*/15 * * * *'
""",
    ),
    (
        "name = hello",
        """\
error longshore.toml:1
 1 │ name = hello
   │        ^
     not valid TOML: invalid value
     text stands in quotes, like name = "hello"
""",
    ),
    (
        "[[hyperdrive]]\nbinding = 'DB'\nconnection_string = 'postgres://u:s3cret@h/' # c",
        """\
error longshore.toml:3  hyperdrive[0].connection_string
 3 │ connection_string … (hidden)
   │ ^^^^^^^^^^^^^^^^^
     connection string has no database: write 'postgres://user:password@host:5432/database'
""",
    ),
    (
        "hyperdrive = [{ binding = 'DB', connection_string = 's3cret' }, 's3cret']",
        """\
error longshore.toml:1  hyperdrive[0].connection_string
 1 │ connection_string … (hidden)
   │ ^^^^^^^^^^^^^^^^^
     connection string no URL with a scheme: write 'postgres://user:password@host:5432/database'

error longshore.toml:1  hyperdrive[1]
 1 │ … (hidden)
     expected a table, found text

2 problems
""",
    ),
    (
        "password = 's3cret",
        """\
error longshore.toml:1
 1 │ … (hidden)
     not valid TOML: expected "'"
""",
    ),
    (
        "\tname = 1\x7f",
        """\
error longshore.toml:1
 1 │  name = 1\\x7f
   │          ^^^^
     not valid TOML: expected newline or end of document after a statement
""",
    ),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_each_problem_has_its_line_and_its_key_underlined(text: str, shown: str) -> None:
    assert of_text(text) == shown


def test_json_keys_are_underlined_with_their_quotes() -> None:
    assert of_text('{"name": "x", "mian": "y"}', "wrangler.json") == (
        """\
error wrangler.json:1  mian
 1 │ {"name": "x", "mian": "y"}
   │               ^^^^^^
     unknown key
     did you mean 'main'?
"""
    )


def test_a_long_line_is_cut_around_its_key() -> None:
    text = "{" + ", ".join(f'"name{index}": {index}' for index in range(20)) + ', "mian": 1, ' + '"x": 2' * 20 + "}"
    error = ConfigError(
        [Problem(message="m", file="f", line=1, column=text.index('"mian"') + 1, length=6, source_line=text)]
    )
    lines = rendered(error).splitlines()
    assert lines[1].startswith(" 1 │ …")
    assert lines[1].endswith("…")
    assert len(lines[1]) < 120
    start = lines[2].index("^")
    assert lines[1][start : start + 6] == '"mian"'
    assert lines[2].count("^") == 6


def test_wide_characters_do_not_shift_the_mark() -> None:
    problem = Problem(message="m", file="f", line=1, column=4, length=1, source_line="日本=x")
    assert rendered(ConfigError([problem])).splitlines()[2] == "   |".replace("|", "│") + " " * 6 + "^"


def test_what_has_no_place_is_told_without_one() -> None:
    problems = [
        Problem(message="no longshore.toml", hint="make one"),
        Problem(message="is wrong", key_path="LONGSHORE_HYPERDRIVE_DB", file="environment variable"),
        Problem(message="m", file="f", line=3),
    ]
    assert rendered(ConfigError(problems)) == (
        """\
error configuration
  no longshore.toml
  make one

error environment variable  LONGSHORE_HYPERDRIVE_DB
  is wrong

error f:3
  m

3 problems
"""
    )


def test_nothing_moves_the_cursor() -> None:
    problem = Problem(
        message="a\x1b[2J", hint="b\x07", key_path="c\x1b", file="d\x1b", line=1, source_line="e\x1b", column=1
    )
    assert "\x1b" not in rendered(ConfigError([problem]))


def test_a_terminal_without_unicode_gets_ascii() -> None:
    problem = Problem(message="m", file="f", line=1, column=1, length=1, source_line="x")
    assert rendered(ConfigError([problem]), "ascii") == "error f:1\n 1 | x\n   | ^\n     m\n"
