"""Certificates for tests: made by a throw-away authority, written where a server may read them."""

from __future__ import annotations

import shutil
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.server_process import give_to

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

__all__ = ["HARBOUR", "IDENTITIES", "CertificateFiles", "install_certificate", "server_context", "write_certificate"]

HARBOUR = "harbour.longshore.example"
"""A name for the loopback, where a test can give it one."""

IDENTITIES = ("localhost", "127.0.0.1", "::1", HARBOUR)
"""What the certificate of a server on the loopback stands for."""

EXPIRED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate and its key as PEM files."""

    chain: Path
    private_key: Path


def write_certificate(authority: trustme.CA, folder: Path, *identities: str, expired: bool = False) -> CertificateFiles:
    """Issue a certificate for the identities and write it as ``server.pem`` and ``server.key``."""
    not_before, not_after = EXPIRED if expired else (None, None)
    issued = authority.issue_cert(*identities, not_before=not_before, not_after=not_after)
    files = CertificateFiles(folder / "server.pem", folder / "server.key")
    files.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    files.private_key.write_bytes(issued.private_key_pem.bytes())
    return files


def install_certificate(files: CertificateFiles, directory: Path, user: str | None) -> CertificateFiles:
    """Copy the files into a server's directory, readable for its account only, as servers demand."""
    copies = CertificateFiles(directory / files.chain.name, directory / files.private_key.name)
    for source, copy in ((files.chain, copies.chain), (files.private_key, copies.private_key)):
        shutil.copyfile(source, copy)
        copy.chmod(0o600)
        give_to(user, copy)
    return copies


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return the context of a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.private_key)
    return context
