"""Errors of our own."""

from __future__ import annotations

import pytest

from longshore.errors import ArgumentValueError
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.codec import parse_backend, serialize
from longshore.proto.postgres.errors import (
    FIELD_CODES,
    error_response,
    is_session_end,
    notice_response,
    violation_response,
)
from longshore.proto.postgres.violation import ProtocolViolation


def test_error_has_the_fields_that_clients_read() -> None:
    error = error_response("ERROR", "53300", "no slot", detail="20 of 20", hint="raise size")
    assert error.fields == (
        (b"S", b"ERROR"),
        (b"V", b"ERROR"),
        (b"C", b"53300"),
        (b"M", b"no slot"),
        (b"D", b"20 of 20"),
        (b"H", b"raise size"),
    )
    assert (error.severity, error.sqlstate, error.message) == ("ERROR", "53300", "no slot")
    assert (error.detail, error.hint) == ("20 of 20", "raise size")
    wire = serialize(error)
    assert parse_backend(wire[0], wire[5:]) == error


def test_what_was_not_sent_is_empty() -> None:
    error = m.ErrorResponse(())
    assert (error.severity, error.sqlstate, error.message, error.detail, error.hint) == ("", "", "", None, None)
    assert m.ErrorResponse(((b"S", b"FEHLER"), (b"M", b"\xff"))).severity == "FEHLER"
    assert m.ErrorResponse(((b"M", b"\xff"),)).message == "�"


def test_a_quoted_nul_does_not_end_the_field() -> None:
    assert error_response("ERROR", "08P01", "a\0b").message == "a\\0b"
    assert serialize(error_response("ERROR", "08P01", "\ud800"))


@pytest.mark.parametrize("code", ["", "1234", "123456", "0Ä000"])
def test_code_must_be_one(code: str) -> None:
    with pytest.raises(ArgumentValueError, match="sqlstate"):
        error_response("ERROR", code, "x")


def test_notices() -> None:
    notice = notice_response("WARNING", "01000", "pinned", hint="use SET LOCAL")
    assert isinstance(notice, m.NoticeResponse)
    assert notice.hint == "use SET LOCAL"


def test_only_fatal_and_panic_end_the_session() -> None:
    assert [is_session_end(error_response(severity, "57P01", "x")) for severity in ("ERROR", "FATAL", "PANIC")] == [
        False,
        True,
        True,
    ]


def test_violations_are_answered() -> None:
    fatal = violation_response(ProtocolViolation("bad", message_type=ord("Q"), is_fatal=True))
    assert (fatal.severity, fatal.sqlstate, fatal.message) == ("FATAL", "08P01", "bad (in message 'Q', at byte 0)")
    assert violation_response(ProtocolViolation("bad", message_type=7)).severity == "ERROR"
    assert "0x07" in str(ProtocolViolation("bad", message_type=7))
    assert "start-up packet" in str(ProtocolViolation("bad"))


def test_letters_are_those_of_the_manual() -> None:
    assert b"".join(sorted(FIELD_CODES.values())) == b"CDFHLMPRSVWcdnpqst"
