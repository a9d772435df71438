"""``.dev.vars`` and ``.env`` files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.dotenv import DotenvValue, parse_dotenv
from longshore.config.errors import ConfigError, Problem

GOOD = [
    ("", {}),
    ("\n# only a comment\n\n", {}),
    ("A=1", {"A": "1"}),
    ("  A = 1  \r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("export A=1\nexport\tB=2", {"A": "1", "B": "2"}),
    ("export=1", {"export": "1"}),
    ("A=", {"A": ""}),
    ("A=   \nB=1", {"A": "", "B": "1"}),
    ("A= # nothing", {"A": ""}),
    ("A=b c # comment", {"A": "b c"}),
    ("A=b=c", {"A": "b=c"}),
    ("A='b # c'  # d", {"A": "b # c"}),
    ("A=`b \"c\" 'd'`", {"A": "b \"c\" 'd'"}),
    ('A="b\nc"\nD=1', {"A": "b\nc", "D": "1"}),
    ("A='b\\n\nc'", {"A": "b\\n\nc"}),
    ('A="\\n\\r\\t\\"\\\\ \\d"', {"A": '\n\r\t"\\ \\d'}),
    ("A=$B ${C}", {"A": "$B ${C}"}),
    ("A='$B'", {"A": "$B"}),
    ("A.b-c=1", {"A.b-c": "1"}),
    ('A={"b": 1}', {"A": '{"b": 1}'}),
    ("A=it's", {"A": "it's"}),
]


@pytest.mark.parametrize(("text", "values"), GOOD)
def test_what_is_read(text: str, values: dict[str, str]) -> None:
    assert {name: found.value for name, found in parse_dotenv(text, ".dev.vars").items()} == values


def test_each_value_knows_its_line() -> None:
    assert parse_dotenv('A="1\n2"\n\nB=3', ".env")["B"] == DotenvValue("3", ".env", 4)


BAD = [
    ("A", ".env:1: not of the form NAME=value: write a comment with '#' in front"),
    ("A: 1", ".env:1: not of the form NAME=value: write a comment with '#' in front"),
    ("1A=1", ".env:1: not of the form NAME=value: write a comment with '#' in front"),
    ("A=1\nA=2", ".env:2: A: stands twice, first in line 1: remove one of them"),
    (
        "A=b#c",
        ".env:1: A: has '#' inside a value without quotes: put the value in quotes, or a space before the comment",
    ),
    ("\nA='b", ".env:2: A: has an opening ' and no closing one: close the quotes"),
    ('A="b\\"', '.env:1: A: has an opening " and no closing one: close the quotes'),
    ("A='b'c", ".env:1: A: has text behind the closing quote: put all of it into quotes"),
    ("A='\x00'", ".env:1: A: holds a NUL character: remove it"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dotenv(text, ".env")
    assert str(caught.value) == message
    assert all(problem.is_secret for problem in caught.value.problems)


def test_every_wrong_line_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dotenv("?\nA=1\nB=a#b\nA='x' y\n!", ".env")
    assert [problem.line for problem in caught.value.problems] == [1, 3, 4, 5]


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_characters="\0\r", codec="utf-8"))))
def test_double_quotes_carry_every_text(values: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    text = "\n".join(f'{name}="{quoted(value)}"' for name, value in values.items())
    assert {name: found.value for name, found in parse_dotenv(text, ".env").items()} == values


@given(st.text(st.sampled_from("A=1'\"`\\#\n \r\0export")))
def test_nothing_else_is_raised_whatever_the_text(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        parse_dotenv(text, ".env")
    except ConfigError as error:
        problems = error.problems
    assert all(problem.file == ".env" and problem.line for problem in problems)
