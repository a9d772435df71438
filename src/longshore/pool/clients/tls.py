"""TLS towards clients (shell: OpenSSL's context)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import Enum

from longshore.errors import ArgumentValueError
from longshore.net.tls_context import load_identity
from longshore.pool.servers.tls import ALPN
from longshore.proto.postgres.channel_binding import CertificateError, server_end_point

__all__ = ["ClientTls", "ClientTlsMode", "make_client_tls"]

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class ClientTlsMode(Enum):
    """What is asked of clients."""

    PREFER = "prefer"
    """Whoever asks for TLS gets it."""
    REQUIRE = "require"
    """Nobody gets in without."""
    VERIFY_CA = "verify-ca"
    """Nor without a certificate that ``client_ca`` has signed."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How clients are encrypted."""

    mode: ClientTlsMode
    context: ssl.SSLContext
    end_point: bytes | None
    """Channel binding data of our certificate; None when there is none, so that SCRAM-SHA-256-PLUS is not offered."""


def make_client_tls(
    certificate: bytes,
    key: bytes,
    *,
    mode: ClientTlsMode = ClientTlsMode.PREFER,
    client_ca: bytes | None = None,
    minimum_version: str = "TLSv1.2",
) -> ClientTls:
    """Return what clients are encrypted with.

    Args:
        certificate: ours, with its chain, in PEM form, leaf first.
        key: in PEM form, without a password.
        mode: what is asked of clients.
        client_ca: signs certificates of clients; with ``PREFER`` and ``REQUIRE`` one who shows none is let in too.
        minimum_version: ``TLSv1.2`` or ``TLSv1.3``.

    Raises:
        ValueError: something of this cannot be used; the message says what.
    """
    if mode is ClientTlsMode.VERIFY_CA and client_ca is None:
        raise ValueError("mode 'verify-ca' needs the authority that signs the certificates of clients: give client_ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[minimum_version]
    # A client could otherwise make us work for nothing, again and again (RFC 5746 §5).
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN])
    try:
        load_identity(context, f"{certificate.decode('ascii')}\n{key.decode('ascii')}", "certificate of the pool")
        if client_ca is not None:
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
    except (ArgumentValueError, OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"TLS towards clients is not possible: {exc}") from exc
    if client_ca is not None:
        is_must = mode is ClientTlsMode.VERIFY_CA
        context.verify_mode = ssl.CERT_REQUIRED if is_must else ssl.CERT_OPTIONAL
    return ClientTls(mode, context, _end_point(certificate))


def _end_point(certificate: bytes) -> bytes | None:
    text = certificate.decode("ascii")
    leaf = text[text.index("-----BEGIN CERTIFICATE-----") :]
    end = "-----END CERTIFICATE-----"
    try:
        return server_end_point(ssl.PEM_cert_to_DER_cert(leaf[: leaf.index(end) + len(end)]))
    except CertificateError:
        return None
