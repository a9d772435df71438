"""From the configuration of a binding, and the store, to a handshake (shell: reads the store)."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from longshore.config.model import EgressBinding
from longshore.core.addresses import SocketAddress
from longshore.core.tls_options import TlsOptions, TlsRequest
from longshore.credentials.errors import CredentialError
from longshore.egress.ask import find_binding
from longshore.errors import ArgumentValueError, TlsError, UsageError
from longshore.net.tls_context import make_client_context
from longshore.proto.ipc.egress import HandshakeAsk

if TYPE_CHECKING:
    import ssl

    from longshore.config.model import WorkerConfig
    from longshore.credentials.certificates import ClientCertificate
    from longshore.credentials.store import CredentialStore

__all__ = ["binding_tls"]

_CACHED_CONTEXTS: Final = 256

logger = logging.getLogger(__name__)


def binding_tls(
    config: WorkerConfig, store: CredentialStore, binding: str, ask: HandshakeAsk | None = None
) -> TlsRequest:
    """Return the handshake to make for a binding: what the worker asks for, with what the configuration says.

    SNI, ALPN, versions, trust and identity are the configuration's, where it says something. Called for every
    connection, so a credential that was replaced is used from the next one on.

    Args:
        config: of the worker.
        store: holds what the configuration names.
        binding: of ``[[egress]]`` or ``[[mtls_certificates]]``.
        ask: what the worker said; None when an unmodified driver connected to the private name of an ``[[egress]]``.

    Raises:
        UsageError: the worker has no such binding, or it has a certificate only and nothing was asked.
        TlsError: a credential is missing or cannot be used; the message names the binding only. Its ``__cause__`` is
            a ``CredentialError``, which is for the operator.
    """
    found = find_binding(config, binding)
    asked = ask or HandshakeAsk(server_name="")
    minimum_version: Any = "TLSv1.2"
    if isinstance(found, EgressBinding):
        server_name = found.sni or SocketAddress.parse(found.address).server_name
        alpn, identity, minimum_version = found.alpn or asked.alpn, found.client_certificate, found.minimum_version
    elif ask is not None:
        server_name, alpn, identity = asked.server_name, asked.alpn, found.certificate
    else:
        raise UsageError(f"the binding {binding!r} has no address of its own")
    try:
        # A binding's CA is trusted instead of all others.
        ca = None if found.ca is None else store.ca_bundle(found.ca)
        roots = "" if ca is not None else "".join(store.ca_bundle(name) for name in config.tls.ca)
        options = TlsOptions(ca=ca, minimum_version=minimum_version)
        context = _context(options, alpn, roots, None if identity is None else store.client_certificate(identity))
    except (CredentialError, ArgumentValueError) as exc:
        logger.error("TLS of the binding %r of worker %r failed: %s", binding, config.name, exc)  # noqa: TRY400 - told
        raise TlsError(
            f"TLS of the binding {binding!r} failed: its credentials cannot be used; the log of the host says why"
        ) from exc
    return TlsRequest(server_name, alpn, TlsOptions(context=context), asked.timeout_s)


@lru_cache(maxsize=_CACHED_CONTEXTS)
def _context(
    options: TlsOptions, alpn: tuple[str, ...], extra_roots: str, identity: ClientCertificate | None
) -> ssl.SSLContext:
    """Return the context of these credentials; renewed ones make a new one."""
    pem = "" if identity is None else identity.chain + identity.private_key
    return make_client_context(options, alpn, extra_roots=extra_roots, identity=pem)
