"""What a person reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.table import aligned, case_rows, quantity, render, target_rows
from tests.bench.samples import CASE, RATES, a_result


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234e-7, "s/op", "123.4 ns"),
        (1.234e-5, "s/op", "12.3 µs"),
        (0.0123, "s/op", "12.3 ms"),
        (1.5, "s/op", "1.50 s"),
        (3 * 2**30, "B/s", "3.00 GiB/s"),
        (512.0, "B/socket", "512 B"),
        (1536.0, "B/socket", "1.50 KiB"),
        (1536.0, "B", "1.50 KiB"),
        (19.68, "ms", "19.7 ms"),
        (12345.6, "connections/s", "12,346"),
    ],
)
def test_quantity(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_best_first_missing_last() -> None:
    assert [row[0] for row in case_rows(CASE)] == ["contender", "c", "longshore", "anyio", "node"]
    assert [row[0] for row in case_rows(RATES)] == ["contender", "trio", "longshore"]
    assert case_rows(CASE)[-1][1:3] == ["missing", "program 'node' is not on this machine"]


def test_ratio_column_is_ours_over_theirs() -> None:
    assert {row[0]: row[3] for row in case_rows(CASE)[1:4]} == {
        "c": "1.20",
        "longshore": "1.00",
        "anyio": "0.60",
    }


def test_targets_say_met_or_not_met() -> None:
    assert [row[3] for row in target_rows(a_result())] == ["verdict", "met", "not met"]


def test_columns_line_up() -> None:
    assert list(aligned([["a", "b"], ["ccc", "d"]])) == ["a    b", "ccc  d"]


def test_what_all_cases_have_in_common_is_said_once() -> None:
    text = render(replace(a_result(), cases=(CASE,)))
    assert text.startswith("echo (s/op, lower is better)\n\n64 B, uvloop\n")


def test_all_of_it() -> None:
    text = render(a_result())
    assert text.startswith("echo\n\n64 B, uvloop (s/op, lower is better)\n")
    assert "in, plain, uvloop (B/s, higher is better)" in text
    assert "2.00 KiB more memory" in text
