"""The table of codes."""

from __future__ import annotations

import pytest

from longshore.proto.postgres.sqlstate import CONDITIONS, SQLSTATES, condition_name, is_class, make_table


def test_table_is_sorted_and_both_ways() -> None:
    assert sorted(CONDITIONS) == list(CONDITIONS)
    assert all(condition_name(code) == name and SQLSTATES[name] == code for code, name in CONDITIONS)
    assert condition_name("99999") is None


@pytest.mark.parametrize(
    "conditions",
    [
        [("08000", "a"), ("08000", "b")],
        [("08000", "a"), ("08001", "a")],
        [("0800", "a")],
        [("0a000", "a")],
        [("0A 00", "a")],
        [("0Ä000", "a")],
    ],
)
def test_duplicates_and_nonsense_are_refused(conditions: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="SQLSTATE"):
        make_table(conditions)


def test_classes() -> None:
    assert is_class("08P01", "08")
    assert not is_class("57P01", "08")
