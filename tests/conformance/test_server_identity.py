"""Whose certificate is accepted for which host: Node's 45 rows as real handshakes."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longshore import TlsError, TlsOptions, UsageError, connect
from longshore.testing import RoutedDialer
from tests.certificates import CertificateFiles, server_context
from tests.conformance.server_identities import ROWS, Row
from tests.loopback import ending, outcome
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testing.raw import RawPeer


NO_HOSTS = (False, None, "", "\n.b.com")
"""Refused by ``connect()`` itself."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates with names that no proper authority would."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


@pytest.fixture(scope="module")
def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for odd names")])
    builder = begin(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(key, builder.sign(key, hashes.SHA256()))


def general_name(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_network(value) if "/" in value else ipaddress.ip_address(value))
    return x509.DNSName(value) if kind == "DNS" else x509.UniformResourceIdentifier(value)


def issue(authority: Authority, row: Row, folder: Path) -> CertificateFiles:
    """Write the row's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in row.common_names])
    builder = begin(subject, authority.certificate.subject, key)
    if row.alternative_names:
        names = x509.SubjectAlternativeName([general_name(name) for name in row.alternative_names])
        builder = builder.add_extension(names, critical=not row.common_names)
    files = CertificateFiles(folder / "server.pem", folder / "server.key")
    certificate = builder.sign(authority.key, hashes.SHA256())
    files.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.private_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


async def serve(peer: RawPeer, context: ssl.SSLContext) -> bool:
    """Return whether the client has accepted the certificate."""
    try:
        await TlsPeer(peer, context).handshake()
    except (ssl.SSLError, ConnectionError):
        return False
    return True


def test_the_table_is_whole() -> None:
    """K11: 45 rows; those in which we differ from Node say why."""
    assert len(ROWS) == 45
    assert all(bool(row.why) == (row.accepts is not None) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_certificate_is_accepted_for_its_hosts_only(row: Row, authority: Authority, tmp_path: Path) -> None:
    """K11: a name is verified against DNS names (else the common name), a literal against IP SANs."""
    options: dict[str, Any] = {"secure_transport": "on", "tls": TlsOptions(ca=authority.pem)}
    if row.host in NO_HOSTS:
        assert not row.expected
        with pytest.raises(UsageError):
            connect({"hostname": row.host, "port": 443}, **options)
        return
    host = str(row.host)
    context = server_context(issue(authority, row, tmp_path))
    with RawServer() as server:
        socket = connect((host, 443), **options, dialer=RoutedDialer({f"{host}:443": server.address}))
        async with await server.accept() as peer, ending(socket):
            serving = asyncio.create_task(serve(peer, context))
            error = await outcome(socket.opened)
            assert await serving == row.expected
            if row.expected:
                assert error is None
            else:
                assert isinstance(error, TlsError)
                assert "mismatch" in str(error.verify_reason)
