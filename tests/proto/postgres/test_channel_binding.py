"""tls-server-end-point against certificates of every usual signature."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres.channel_binding import CertificateError, server_end_point, signature_hash


@cache
def key_of(name: str) -> Any:
    if name == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP384R1()) if name == "ec" else dsa.generate_private_key(1024)


def certificate(key: Any, digest: Any, **options: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    made = builder.not_valid_after(datetime(2040, 1, 1, tzinfo=UTC)).sign(key, digest, **options)
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("name", "keys_hashes"), [("rsa", (224, 256, 384, 512)), ("ec", (224, 256, 384, 512)), ("dsa", (224, 256))]
)
def test_hash_is_the_one_of_the_signature(name: str, keys_hashes: tuple[int, ...]) -> None:
    for bits in keys_hashes:
        der = certificate(key_of(name), getattr(hashes, f"SHA{bits}")())
        assert signature_hash(der) == f"sha{bits}"
        assert server_end_point(der) == hashlib.new(f"sha{bits}", der).digest()


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_pss_names_its_hash_in_the_parameters(bits: int) -> None:
    digest = getattr(hashes, f"SHA{bits}")()
    der = certificate(key_of("rsa"), digest, rsa_padding=padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH))
    assert signature_hash(der) == f"sha{bits}"


def test_ed25519_has_no_channel_binding() -> None:
    with pytest.raises(CertificateError, match="no hash"):
        server_end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None))


def sequence(*parts: bytes) -> bytes:
    return b"\x30" + bytes((len(b"".join(parts)),)) + b"".join(parts)


@pytest.mark.parametrize(
    ("identifier", "parameters", "name"),
    [
        ("2a864886f70d010104", b"", "sha256"),
        ("2a864886f70d010105", b"", "sha256"),
        ("2a8648ce3d0401", b"", "sha256"),
        ("2a864886f70d01010a", sequence(), "sha256"),
        ("2a864886f70d01010a", sequence(b"\xa1\0"), "sha256"),
        ("2a864886f70d01010a", sequence(b"\xa0\x09" + sequence(b"\x06\x05" + bytes.fromhex("2b0e03021a"))), "sha256"),
    ],
)
def test_md5_and_sha1_become_sha256(identifier: str, parameters: bytes, name: str) -> None:
    oid = bytes.fromhex(identifier)
    der = sequence(sequence(), sequence(b"\x06" + bytes((len(oid),)) + oid + parameters))
    assert signature_hash(der) == name


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x31\0",
        b"\x30\x80",
        b"\x30\x85\0\0\0\0\0",
        b"\x30\x05abc",
        sequence(sequence(), sequence(b"\x06\x01\x01")),
        sequence(
            sequence(),
            sequence(
                b"\x06\x09" + bytes.fromhex("2a864886f70d01010a") + sequence(b"\xa0\x05" + sequence(b"\x06\x01\x01"))
            ),
        ),
    ],
)
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(CertificateError):
        server_end_point(der)


@given(st.binary(max_size=40))
def test_nonsense_is_refused(der: bytes) -> None:
    with pytest.raises(CertificateError):
        server_end_point(b"\x30" + der)
