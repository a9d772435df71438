"""Certificates and keys as the store takes them: parsed, checked, and spelled anew."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from longshore.credentials.errors import CredentialError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

__all__ = [
    "EXPIRY_WARNING",
    "CaBundle",
    "ClientCertificate",
    "expiry_words",
    "parse_ca_bundle",
    "parse_client_certificate",
]

EXPIRY_WARNING: Final = timedelta(days=30)
"""How long before its end a certificate is warned about."""

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----[ \t]*\r?\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CaBundle:
    """Certificates of authorities."""

    pem: str
    subject: str
    """Of the first one."""
    not_after: datetime
    """When the last of them expires: a bundle often holds roots that nobody uses any more."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate with its chain and its private key."""

    chain: str
    """PEM, leaf first."""
    private_key: str = field(repr=False)
    """PEM (PKCS #8) without a password."""
    subject: str
    not_after: datetime
    """When the first certificate of the chain expires."""


def expiry_words(not_after: datetime, now: datetime) -> str:
    """Return ``"expired on …"`` or ``"expires on … (in 12 days)"``; empty while there is time enough.

    Args:
        not_after: from a certificate.
        now: with a time zone.
    """
    left = not_after - now
    if left <= timedelta(0):
        return f"expired on {not_after:%Y-%m-%d}"
    if left > EXPIRY_WARNING:
        return ""
    days = left.days
    when = "in less than a day" if days == 0 else f"in {days} day{'' if days == 1 else 's'}"
    return f"expires on {not_after:%Y-%m-%d} ({when})"


def parse_ca_bundle(data: bytes) -> CaBundle:
    """Return the certificates that ``data`` holds as PEM; comments between them are dropped.

    Raises:
        CredentialError: there is none, there is a private key, or something in it is broken.
    """
    if any(label.endswith(b"PRIVATE KEY") for label, _ in _blocks(data)):
        raise CredentialError("it holds a private key, and a CA bundle is certificates only")
    certificates = _certificates(data)
    if not certificates:
        raise CredentialError("it holds no certificate", "a CA bundle is a PEM file: -----BEGIN CERTIFICATE-----")
    return CaBundle(
        _pem_of(certificates), _subject(certificates[0]), max(each.not_valid_after_utc for each in certificates)
    )


def parse_client_certificate(data: bytes, password: bytes | None = None) -> ClientCertificate:
    """Return the chain and the key that ``data`` holds as PEM, in any order, the leaf before what signed it.

    Args:
        data: all of it.
        password: of an encrypted key.

    Raises:
        CredentialError: the certificate or the key is missing or broken, they do not belong together, or the password
            is missing or wrong.
    """
    certificates = _certificates(data)
    if not certificates:
        raise CredentialError("it holds no certificate", "give the chain as PEM: -----BEGIN CERTIFICATE-----")
    key = _private_key(data, password)
    leaf = next((each for each in certificates if each.public_key() == key.public_key()), None)
    if leaf is None:
        raise CredentialError("the private key does not belong to the certificate")
    chain = [leaf, *(each for each in certificates if each is not leaf)]
    return ClientCertificate(
        _pem_of(chain), _key_pem(key), _subject(leaf), min(each.not_valid_after_utc for each in chain)
    )


def _blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(match[1], match[0]) for match in _BLOCK.finditer(data)]


def _certificates(data: bytes) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - takes milliseconds, and few need it

    labels = (b"CERTIFICATE", b"X509 CERTIFICATE")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old root with a serial number of 0 is none of our business
            return [load_pem_x509_certificate(block) for label, block in _blocks(data) if label in labels]
    except ValueError as exc:
        raise CredentialError(f"a certificate in it is broken: {exc}") from exc


def _private_key(data: bytes, password: bytes | None) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    keys = [block for label, block in _blocks(data) if label.endswith(b"PRIVATE KEY")]
    if len(keys) != 1:
        found = "no private key" if not keys else f"{len(keys)} private keys"
        raise CredentialError(f"it holds {found}", "give one, as PEM: -----BEGIN PRIVATE KEY-----")
    encrypted = b"ENCRYPTED" in keys[0]
    if encrypted and password is None:
        raise CredentialError("its private key is encrypted", "give the password of the key")
    try:
        return load_pem_private_key(keys[0], password if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not the library's words: they say little, and nobody knows what they quote.
        what = "the password of its private key is wrong, or the key is broken" if encrypted else "its key is broken"
        raise CredentialError(what) from None


def _pem_of(certificates: list[Certificate]) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def _key_pem(key: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _subject(certificate: Certificate) -> str:
    from cryptography.x509 import NameOID  # noqa: PLC0415 - as above

    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if names:
        return str(names[0].value)
    return certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}"
