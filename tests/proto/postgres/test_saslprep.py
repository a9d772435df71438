"""Passwords as PostgreSQL prepares them; RFC 4013 §3 has the examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres.saslprep import SaslprepError, prepare_password, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b\u3000c", "a b c"),
        ("e\u0301", "\u00e9"),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_examples(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared
    assert prepare_password(text.encode()) == prepared.encode()


@pytest.mark.parametrize(
    "text", ["\u0007", "\u0627\u0031", "\u00ad", "a\u0627", "\u0627a\u0627", "\ue000", "\U0001f600"]
)
def test_what_cannot_be_prepared_is_used_as_it_is(text: str) -> None:
    with pytest.raises(SaslprepError):
        saslprep(text)
    assert prepare_password(text.encode()) == text.encode()


def test_bytes_that_are_not_utf_8_are_used_as_they_are() -> None:
    assert prepare_password(b"\xff\xfe") == b"\xff\xfe"
    assert prepare_password(b"") == b""


@given(st.binary(max_size=30))
def test_never_fails_and_is_stable(password: bytes) -> None:
    prepared = prepare_password(password)
    assert prepare_password(prepared) == prepared
