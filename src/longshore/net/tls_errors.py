"""Where ``ssl.SSLError`` becomes ``TlsError`` with an alert or a verification reason."""

from __future__ import annotations

import re
import ssl

from longshore.errors import TlsError

__all__ = ["map_tls_error", "truncated"]

_ALERT = re.compile(r"(?:^|_)ALERT_(\w+)$")
_NOT_TLS = {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}


def map_tls_error(error: ssl.SSLError, address: str, during: str) -> TlsError:
    """Return the ``TlsError`` for what OpenSSL reported.

    Args:
        error: from ``SSLObject``; it becomes the cause.
        address: the peer.
        during: ``"tls"`` for the handshake, else ``"read"`` or ``"write"``.
    """
    if isinstance(error, ssl.SSLEOFError):
        return truncated(error, address, during)
    verify_reason = error.verify_message.rstrip(".") if isinstance(error, ssl.SSLCertVerificationError) else None
    reason = error.reason or str(error)
    found = _ALERT.search(reason)
    alert = found.group(1).lower() if found else None
    mapped = TlsError(
        f"{_phase(during)} with {address} failed: {_explain(reason, alert, verify_reason)}",
        address=address,
        during=during,
        alert=alert,
        verify_reason=verify_reason,
    )
    mapped.__cause__ = error
    return mapped


def truncated(error: BaseException | None, address: str, during: str) -> TlsError:
    """Return the error for TCP's end-of-file where TLS had not ended (RFC 8446 §6.1)."""
    what = (
        "the peer closed the connection before the handshake was done; it may not speak TLS on this port"
        if during == "tls"
        else "the peer closed the connection without close_notify, so the data may be cut short"
    )
    mapped = TlsError(f"{_phase(during)} with {address} failed: {what}", address=address, during=during, truncated=True)
    mapped.__cause__ = error
    return mapped


def _phase(during: str) -> str:
    return "TLS handshake" if during == "tls" else f"TLS {during}"


def _next_step(verify_reason: str) -> str:
    if "mismatch" in verify_reason:
        return "connect to a name that it has, or give that name as sni=..."
    return "trust its CA with tls=TlsOptions(ca=...) if it is yours"


def _explain(reason: str, alert: str | None, verify_reason: str | None) -> str:
    if verify_reason is not None:
        return f"certificate refused: {verify_reason}; {_next_step(verify_reason)}"
    if alert is not None:
        return f"the peer sent the alert {alert}"
    if reason in _NOT_TLS:
        return f"the peer does not speak TLS here ({reason}); is it the right port, or does it want starttls?"
    return reason.lower().replace("_", " ")
