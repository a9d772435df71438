"""What the host asks of the credential store: secrets for a configuration, and what it has to say of certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.config.model import Notice
from longshore.credentials.certificates import expiry_words
from longshore.credentials.errors import CredentialError
from longshore.credentials.kinds import Kind
from longshore.credentials.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from longshore.config.model import WorkerConfig
    from longshore.credentials.store import CredentialStore

__all__ = ["credential_notices", "stored_secret"]


def stored_secret(variables: Mapping[str, str]) -> Callable[[str], str | None]:
    """Return what looks a secret up in the store that the environment names, for ``load_config()``.

    It raises ``ValueError`` for a secret that is there and cannot be used.
    """

    def secret(name: str) -> str | None:
        try:
            store = open_store(variables)
            return store.secret(name) if store.has(Kind.SECRET, name) else None
        except CredentialError as exc:
            raise ValueError(str(exc)) from exc

    return secret


def credential_notices(config: WorkerConfig, store: CredentialStore, now: datetime) -> tuple[Notice, ...]:
    """Return what an operator should know of the certificates that a configuration names.

    That is: which expire within 30 days or have expired, and which are missing or cannot be used.

    Args:
        config: of a worker.
        store: the credentials.
        now: with a time zone.
    """
    found: list[Notice] = []
    for path, kind, name in _named(config):
        try:
            certificates = store.ca_details(name) if kind is Kind.CA else store.client_certificate(name)
        except CredentialError as exc:
            found.append(Notice(key_path=path, message=str(exc)))
            continue
        if words := expiry_words(certificates.not_after, now):
            found.append(Notice(key_path=path, message=f"the {kind.noun} {name!r} {words}"))
    return tuple(found)


def _named(config: WorkerConfig) -> Iterator[tuple[str, Kind, str]]:
    """Yield the place in the configuration, the kind and the name of every certificate that it names."""
    for index, name in enumerate(config.tls.ca):
        yield f"tls.ca[{index}]", Kind.CA, name
    for each in config.egress:
        if each.ca is not None:
            yield f"egress.{each.binding}.ca", Kind.CA, each.ca
        if each.client_certificate is not None:
            yield f"egress.{each.binding}.client_certificate", Kind.CLIENT, each.client_certificate
    for mtls in config.mtls_certificates:
        yield f"mtls_certificates.{mtls.binding}", Kind.CLIENT, mtls.certificate
        if mtls.ca is not None:
            yield f"mtls_certificates.{mtls.binding}.ca", Kind.CA, mtls.ca
