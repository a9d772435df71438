"""Certificates and keys as people have them in files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from longshore.credentials.certificates import expiry_words, parse_ca_bundle, parse_client_certificate
from longshore.credentials.errors import CredentialError

if TYPE_CHECKING:
    import trustme
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def issued(ca: trustme.CA) -> trustme.LeafCert:
    middle = ca.create_child_ca()
    return middle.issue_cert("worker.example", common_name="worker")


def chain_of(leaf: trustme.LeafCert) -> list[bytes]:
    return [each.bytes() for each in leaf.cert_chain_pems]


def key_of(leaf: trustme.LeafCert) -> PrivateKeyTypes:
    return load_pem_private_key(leaf.private_key_pem.bytes(), None)


def test_the_leaf_comes_first_whatever_the_order(issued: trustme.LeafCert) -> None:
    first, *rest = chain_of(issued)
    for pem in ([first, *rest], [*rest, first]):
        parsed = parse_client_certificate(issued.private_key_pem.bytes() + b"".join(pem))
        assert parsed.subject == "worker"
        assert parsed.chain.encode() == b"".join([first, *rest])
        assert "BEGIN PRIVATE KEY" in parsed.private_key


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key(issued: trustme.LeafCert, form: PrivateFormat) -> None:
    key = key_of(issued).private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"hunter2"))
    pem = b"".join(chain_of(issued)) + key
    with pytest.raises(CredentialError, match="encrypted"):
        parse_client_certificate(pem)
    with pytest.raises(CredentialError, match="password of its private key is wrong") as caught:
        parse_client_certificate(pem, b"hunter3")
    assert "hunter3" not in str(caught.value)
    assert "ENCRYPTED" not in parse_client_certificate(pem, b"hunter2").private_key


def test_a_password_that_is_not_needed(issued: trustme.LeafCert) -> None:
    key = key_of(issued).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert parse_client_certificate(b"".join(chain_of(issued)) + key, b"hunter2").subject == "worker"


def test_comments_windows_line_ends_and_text_around(issued: trustme.LeafCert) -> None:
    pem = b"Bag Attributes\n  friendlyName: x\n" + b"".join(chain_of(issued)) + issued.private_key_pem.bytes()
    parsed = parse_client_certificate(pem.replace(b"\n", b"\r\n"))
    assert "Bag" not in parsed.chain
    assert "\r" not in parsed.chain


def test_what_is_missing_or_wrong(issued: trustme.LeafCert, ca: trustme.CA) -> None:
    chain, key = b"".join(chain_of(issued)), issued.private_key_pem.bytes()
    stranger = ca.issue_cert("x.example").private_key_pem.bytes()
    broken = key.replace(b"\n", b"\nAAAA", 2)
    for pem, message in (
        (b"", "no certificate"),
        (key, "no certificate"),
        (chain, "no private key"),
        (chain + key + stranger, "2 private keys"),
        (chain + stranger, "does not belong"),
        (chain + broken, "its key is broken"),
        (chain.replace(b"\n", b"\nAAAA", 2) + key, "a certificate in it is broken"),
    ):
        with pytest.raises(CredentialError, match=message):
            parse_client_certificate(pem)


def test_a_ca_bundle_of_several(ca: trustme.CA, other_ca: trustme.CA) -> None:
    pem = ca.cert_pem.bytes() + b"# another\n" + other_ca.cert_pem.bytes()
    bundle = parse_ca_bundle(pem)
    assert bundle.pem.count("BEGIN CERTIFICATE") == 2
    assert "#" not in bundle.pem
    assert parse_ca_bundle(bundle.pem.encode()) == bundle


def test_a_ca_bundle_holds_no_key(ca: trustme.CA, issued: trustme.LeafCert) -> None:
    with pytest.raises(CredentialError, match="private key"):
        parse_ca_bundle(ca.cert_pem.bytes() + issued.private_key_pem.bytes())
    with pytest.raises(CredentialError, match="no certificate"):
        parse_ca_bundle(b"nonsense")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    for text in (data, b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n"):
        with pytest.raises(CredentialError):
            parse_ca_bundle(text)
        with pytest.raises(CredentialError):
            parse_client_certificate(text)


@given(st.data())
def test_a_cut_file_is_refused(issued: trustme.LeafCert, data: st.DataObject) -> None:
    pem = b"".join(chain_of(issued)) + issued.private_key_pem.bytes()
    at = data.draw(st.integers(0, len(pem) - 2))
    with pytest.raises(CredentialError):
        parse_client_certificate(pem[:at])


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=31), ""),
        (timedelta(days=30, seconds=1), ""),
        (timedelta(days=30), "expires on 2026-07-01 (in 30 days)"),
        (timedelta(days=1), "expires on 2026-06-02 (in 1 day)"),
        (timedelta(hours=1), "expires on 2026-06-01 (in less than a day)"),
        (timedelta(0), "expired on 2026-06-01"),
        (timedelta(days=-100), "expired on 2026-02-21"),
    ],
)
def test_words_of_an_expiry(left: timedelta, words: str) -> None:
    assert expiry_words(NOW + left, NOW) == words
