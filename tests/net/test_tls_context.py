"""Tests of ``longshore.net.tls_context``."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest

from longshore.core.tls_options import TlsOptions
from longshore.errors import ArgumentValueError
from longshore.net.tls_context import client_context, make_client_context, trust_also

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.certificates import CertificateFiles


def test_the_default_verifies_against_the_systems_bundle() -> None:
    """K11."""
    context = client_context(TlsOptions(), ())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_the_same_settings_share_a_context(ca_file: Path) -> None:
    assert client_context(TlsOptions(ca=ca_file), ("h2",)) is client_context(TlsOptions(ca=ca_file), ("h2",))
    assert client_context(TlsOptions(ca=ca_file), ("h2",)) is not client_context(TlsOptions(ca=ca_file), ())


def test_a_file_that_changed_makes_a_new_context(ca_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ca.pem"
    copy.write_bytes(ca_file.read_bytes())
    first = client_context(TlsOptions(ca=copy), ())
    os.utime(copy, ns=(1, 1))
    assert client_context(TlsOptions(ca=copy), ()) is not first


@pytest.mark.parametrize("form", ["path", "str path", "PEM str", "PEM bytes", "DER bytes"])
def test_trust_is_given_in_any_form(ca: trustme.CA, ca_file: Path, form: str) -> None:
    pem = ca.cert_pem.bytes()
    forms: dict[str, str | bytes | os.PathLike[str]] = {
        "path": ca_file,
        "str path": str(ca_file),
        "PEM str": pem.decode(),
        "PEM bytes": pem,
        "DER bytes": ssl.PEM_cert_to_DER_cert(pem.decode()),
    }
    context = client_context(TlsOptions(ca=forms[form]), ())
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    "trust", ["nowhere.pem", b"not a certificate", "-----BEGIN CERTIFICATE-----\nrubbish", b"-----BEGIN \xff"]
)
def test_trust_that_cannot_be_used_is_named(trust: str | bytes) -> None:
    with pytest.raises(ArgumentValueError, match=r"tls\.ca .* cannot be used: .*; give PEM certificates"):
        client_context(TlsOptions(ca=trust), ())


def test_versions_are_bounded() -> None:
    context = client_context(TlsOptions(minimum_version="TLSv1.3", maximum_version="TLSv1.3"), ())
    assert context.minimum_version is context.maximum_version is ssl.TLSVersion.TLSv1_3


def test_an_identity_is_loaded(server_cert_files: CertificateFiles) -> None:
    options = TlsOptions(certificate=server_cert_files.chain, private_key=server_cert_files.private_key)
    assert client_context(options, ()) is client_context(options, ())


def test_an_identity_that_cannot_be_used_is_named(
    server_cert_files: CertificateFiles, wrong_host_cert_files: CertificateFiles, tmp_path: Path
) -> None:
    for options in (
        TlsOptions(certificate=tmp_path / "nowhere.pem"),
        TlsOptions(certificate=server_cert_files.chain, private_key=wrong_host_cert_files.private_key),
        TlsOptions(certificate=server_cert_files.chain),
    ):
        with pytest.raises(ArgumentValueError, match=r"tls\.certificate .* cannot be used"):
            client_context(options, ())


def test_a_ready_context_is_used_as_it_is() -> None:
    context = ssl.create_default_context()
    assert client_context(TlsOptions(context=context), ()) is context


def test_more_roots_are_trusted_besides_the_systems_and_not_besides_a_ca_of_the_callers(
    ca: trustme.CA, ca_file: Path
) -> None:
    before = client_context(TlsOptions(), ())
    former = trust_also(ca.cert_pem.bytes().decode())
    try:
        assert former == ""
        assert client_context(TlsOptions(), ()).cert_store_stats()["x509"] == before.cert_store_stats()["x509"] + 1
        assert client_context(TlsOptions(ca=ca_file), ()).cert_store_stats()["x509"] == 1
    finally:
        trust_also(former)
    assert client_context(TlsOptions(), ()) is before


def test_roots_that_are_none_change_nothing() -> None:
    before = client_context(TlsOptions(), ())
    with pytest.raises(ArgumentValueError, match="CA certificates cannot be used"):
        trust_also("nonsense")
    assert client_context(TlsOptions(), ()) is before


def test_an_identity_that_is_in_no_file(ca: trustme.CA) -> None:
    issued = ca.issue_cert("client.example")
    pem = b"".join(each.bytes() for each in (*issued.cert_chain_pems, issued.private_key_pem)).decode()
    descriptors = len(os.listdir("/dev/fd"))
    context = make_client_context(TlsOptions(), ("h2",), identity=pem)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(os.listdir("/dev/fd")) == descriptors
    for broken in ("nonsense", issued.cert_chain_pems[0].bytes().decode()):
        with pytest.raises(ArgumentValueError, match="client certificate cannot be used"):
            make_client_context(TlsOptions(), (), identity=broken)
    assert len(os.listdir("/dev/fd")) == descriptors
