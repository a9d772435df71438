"""Tests of ``longshore.net.tls_errors``."""

from __future__ import annotations

import ssl

import pytest

from longshore.net.tls_errors import map_tls_error, truncated


def openssl_error(reason: str | None, text: str = "text") -> ssl.SSLError:
    """Return an error as the ``ssl`` module makes it."""
    error = ssl.SSLError(1, text)
    error.reason = reason  # type: ignore[assignment]  # typeshed does not know that it may be None
    return error


@pytest.mark.parametrize(
    ("reason", "alert"),
    [
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake_failure"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "protocol_version"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required"),
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown_ca"),
        ("TLSV1_UNRECOGNIZED_NAME", None),
        ("BAD_SIGNATURE", None),
    ],
)
def test_the_peers_alert_is_named_as_in_the_rfc(reason: str, alert: str | None) -> None:
    error = map_tls_error(openssl_error(reason), "a:1", "tls")
    assert error.alert == alert
    if alert is not None:
        assert f"the peer sent the alert {alert}" in str(error)


@pytest.mark.parametrize(
    ("during", "phase"), [("tls", "TLS handshake with"), ("read", "TLS read with"), ("write", "TLS write with")]
)
def test_the_phase_is_named(during: str, phase: str) -> None:
    error = map_tls_error(openssl_error("BAD_SIGNATURE"), "a:1", during)
    assert str(error) == f"{phase} a:1 failed: bad signature"
    assert error.during == during
    assert error.address == "a:1"


def test_a_certificate_that_is_refused_says_why_and_what_to_do() -> None:
    cause = ssl.SSLCertVerificationError(1, "x")
    cause.reason = "CERTIFICATE_VERIFY_FAILED"
    cause.verify_message = "certificate has expired"
    error = map_tls_error(cause, "a:1", "tls")
    assert error.verify_reason == "certificate has expired"
    assert error.alert is None
    assert "certificate refused: certificate has expired" in str(error)
    assert "TlsOptions(ca=...)" in str(error)
    assert error.__cause__ is cause


@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "HTTP_REQUEST"])
def test_a_peer_that_speaks_no_tls_is_told_apart(reason: str) -> None:
    assert "does not speak TLS here" in str(map_tls_error(openssl_error(reason), "a:1", "tls"))


def test_an_error_without_a_reason_keeps_its_text() -> None:
    assert "odd thing" in str(map_tls_error(openssl_error(None, "odd thing"), "a:1", "read"))


@pytest.mark.parametrize(
    ("during", "text"), [("tls", "before the handshake was done"), ("read", "without close_notify")]
)
def test_tcps_end_without_tlss_is_truncation(during: str, text: str) -> None:
    cause = ssl.SSLEOFError(8, "EOF occurred")
    error = map_tls_error(cause, "a:1", during)
    assert error.truncated
    assert error.__cause__ is cause
    assert text in str(error)
    assert truncated(None, "a:1", during).__cause__ is None
