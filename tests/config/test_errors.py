"""How a configuration error reads."""

from __future__ import annotations

import pytest

from longshore.config.errors import ConfigError, Problem

CASES = [
    (Problem(message="m"), "m"),
    (Problem(message="m", hint="h"), "m: h"),
    (Problem(message="m", key_path="a.b"), "a.b: m"),
    (Problem(message="m", file="longshore.toml"), "longshore.toml: m"),
    (Problem(message="m", line=3), "m"),
    (Problem(message="m", key_path="k", hint="h", file="longshore.toml", line=3), "longshore.toml:3: k: m: h"),
]


@pytest.mark.parametrize(("problem", "text"), CASES)
def test_a_problem_is_one_line(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_an_error_is_all_its_problems() -> None:
    error = ConfigError(iter([Problem(message="one"), Problem(message="two")]))
    assert str(error) == "one\ntwo"
    assert [problem.message for problem in error.problems] == ["one", "two"]
