"""TLS: an authority the tests trust, servers' certificates of it, and the ones a client must refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from longshore.core.tls_options import TlsOptions
from tests.certificates import IDENTITIES, CertificateFiles, server_context, write_certificate

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """The authority the tests trust."""
    return trustme.CA()


@pytest.fixture(scope="session")
def other_ca() -> trustme.CA:
    """An authority nobody trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's certificate as a PEM file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def client_tls(ca_file: Path) -> TlsOptions:
    """What a client says to trust the authority."""
    return TlsOptions(ca=ca_file)


@pytest.fixture(scope="session")
def server_cert_files(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A good certificate for ``localhost``, ``127.0.0.1`` and ``::1``."""
    return write_certificate(ca, tmp_path_factory.mktemp("server"), *IDENTITIES)


@pytest.fixture(scope="session")
def expired_cert_files(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """The same, but expired in 2020."""
    return write_certificate(ca, tmp_path_factory.mktemp("expired"), *IDENTITIES, expired=True)


@pytest.fixture(scope="session")
def wrong_host_cert_files(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A good certificate of somebody else."""
    return write_certificate(ca, tmp_path_factory.mktemp("wrong-host"), "elsewhere.example", "192.0.2.1")


@pytest.fixture(scope="session")
def other_ca_cert_files(other_ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """The right identities, from the authority nobody trusts."""
    return write_certificate(other_ca, tmp_path_factory.mktemp("other-ca"), *IDENTITIES)


@pytest.fixture(scope="session")
def server_ssl_context(server_cert_files: CertificateFiles) -> ssl.SSLContext:
    """A server with the good certificate."""
    return server_context(server_cert_files)


@pytest.fixture(scope="session")
def expired_ssl_context(expired_cert_files: CertificateFiles) -> ssl.SSLContext:
    """A server with the expired certificate."""
    return server_context(expired_cert_files)


@pytest.fixture(scope="session")
def wrong_host_ssl_context(wrong_host_cert_files: CertificateFiles) -> ssl.SSLContext:
    """A server with somebody else's certificate."""
    return server_context(wrong_host_cert_files)


@pytest.fixture(scope="session")
def other_ca_ssl_context(other_ca_cert_files: CertificateFiles) -> ssl.SSLContext:
    """A server whose authority is not trusted."""
    return server_context(other_ca_cert_files)
