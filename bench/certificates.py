"""The certificate of the TLS servers and the authority their clients trust, made anew for every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from bench.contenders.job import HOST

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Certificates", "make_certificates"]


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of two PEM files."""

    ca: str
    server: str
    """Certificate and key."""


def make_certificates(directory: Path) -> Certificates:
    """Write an authority and a certificate for the loopback address into the directory."""
    authority = trustme.CA()
    ca, server = directory / "ca.pem", directory / "server.pem"
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(server))
    return Certificates(str(ca), str(server))
