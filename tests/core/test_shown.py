"""Foreign values in messages: short, without passwords, and never the cause of another error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.shown import SHOWN_CHARS, shown


class _Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("localhost:0", "'localhost:0'", id="short"),
        pytest.param(None, "None", id="none"),
        pytest.param(_Broken(), "<_Broken>", id="broken-repr"),
        pytest.param(10**5000, "<int>", id="int-beyond-the-digit-limit"),
        pytest.param("user:secret@host:1", "'…@host:1'", id="user-information"),
        pytest.param("a@b@c", "'…@c'", id="several-at-signs"),
        pytest.param({"hostname": "u:p@h"}, "{'…@h'}", id="user-information-in-a-mapping"),
        pytest.param(b"u:p@h", "b'…@h'", id="user-information-in-bytes"),
        pytest.param("it's \"u:p@h", "'…@h'", id="both-quotes"),
    ],
)
def test_values_are_quoted(value: object, text: str) -> None:
    assert shown(value) == text


def test_at_sign_outside_quotation_marks_hides_all_before_it() -> None:
    class Address:
        def __repr__(self) -> str:
            return "u:p@host 'x'"

    assert shown(Address()) == "…@host 'x'"


def test_long_values_are_cut() -> None:
    assert shown("x" * 500) == "'" + "x" * (SHOWN_CHARS - 2) + "…"
    assert shown("x" * 500, limit=10) == "'xxxxxxxx…"


@given(st.text() | st.binary() | st.lists(st.text()))
def test_never_longer_than_the_limit(value: object) -> None:
    assert len(shown(value)) <= SHOWN_CHARS
