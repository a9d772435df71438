"""Contexts of TLS towards databases: libpq's ``sslmode`` as OpenSSL settings (shell)."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from longshore.core.tls_options import TlsOptions
from longshore.errors import ArgumentValueError
from longshore.net.tls_context import make_client_context
from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.servers.target import TlsMode

if TYPE_CHECKING:
    from longshore.pool.servers.target import UpstreamTls

__all__ = ["ALPN", "tls_failure", "upstream_context"]

ALPN: Final = "postgresql"
_CACHED = 64
_UNVERIFIED = (TlsMode.PREFER, TlsMode.REQUIRE)


@lru_cache(maxsize=_CACHED)
def upstream_context(tls: UpstreamTls) -> ssl.SSLContext:
    """Return the context for these settings; reading the system's authorities takes long, so it is kept.

    Raises:
        LoginFailed: a certificate or key cannot be used.
    """
    identity = b"\n".join(each for each in (tls.certificate, tls.key) if each is not None)
    try:
        context = make_client_context(TlsOptions(ca=tls.ca), (ALPN,), identity=identity.decode("ascii"))
    except (ArgumentValueError, UnicodeDecodeError) as exc:
        raise LoginFailed(f"TLS towards the database is not possible: {exc}", is_permanent=True) from exc
    context.check_hostname = tls.mode is TlsMode.VERIFY_FULL
    if tls.mode in _UNVERIFIED and (tls.ca is None or tls.mode is TlsMode.PREFER):
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_failure(error: ssl.SSLError, place: str, mode: TlsMode) -> LoginFailed:
    """Return what to say about a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        if "mismatch" in reason:
            step = "connect by a name that it has, or use the mode 'verify-ca'"
        else:
            step = "give the authority that signed it as 'ca' (sslrootcert in a URL)"
        return LoginFailed(f"the certificate of {place} is refused (mode {mode.value!r}): {reason}; {step}")
    reason = (error.reason or str(error)).lower().replace("_", " ")
    step = "look into the server's log, and check its ssl settings"
    return LoginFailed(f"the TLS handshake with {place} failed: {reason}; {step}")
