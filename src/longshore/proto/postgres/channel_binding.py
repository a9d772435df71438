"""``tls-server-end-point``: the hash of a server's certificate (PURE; RFC 5929 §4.1).

The hash is the one of the certificate's signature; MD5 and SHA-1 are replaced by SHA-256. Only the outermost layers
of the certificate (RFC 5280 §4.1) are read to find it, not the certificate's contents.
"""

from __future__ import annotations

import hashlib

__all__ = ["CHANNEL_BINDING", "CertificateError", "server_end_point"]

CHANNEL_BINDING = b"tls-server-end-point"

_SEQUENCE, _OBJECT_IDENTIFIER, _CONTEXT_0 = 0x30, 0x06, 0xA0
_LONG_FORM = 0x80
_MAX_LENGTH_BYTES = 4

_DEFAULT_HASH = "sha256"
_RSASSA_PSS = "2a864886f70d01010a"
_SIGNATURE_HASHES = {
    # Object identifiers in DER, without tag and length.
    "2a864886f70d010104": "sha256",  # md5WithRSAEncryption
    "2a864886f70d010105": "sha256",  # sha1WithRSAEncryption
    "2a864886f70d01010b": "sha256",  # sha256WithRSAEncryption
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "2a864886f70d01010e": "sha224",
    "2a8648ce3d0401": "sha256",  # ecdsa-with-SHA1
    "2a8648ce3d040301": "sha224",
    "2a8648ce3d040302": "sha256",
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
    "2a8648ce380403": "sha256",  # dsa-with-SHA1
    "608648016503040301": "sha224",  # dsa-with-sha224
    "608648016503040302": "sha256",
}
_HASHES = {
    "2b0e03021a": "sha256",  # sha1
    "608648016503040201": "sha256",
    "608648016503040202": "sha384",
    "608648016503040203": "sha512",
    "608648016503040204": "sha224",
}


class CertificateError(ValueError):
    """No channel binding can be made of this certificate."""


def server_end_point(certificate: bytes) -> bytes:
    """Return the channel binding data of a certificate in DER.

    Raises:
        CertificateError: it is not DER, or its signature has no hash of its own (Ed25519): RFC 5929 defines nothing.
    """
    return hashlib.new(signature_hash(certificate), certificate).digest()


def signature_hash(certificate: bytes) -> str:
    """Return the name of the hash for a certificate.

    Raises:
        CertificateError: see ``server_end_point``.
    """
    outer, _ = _element(certificate, _SEQUENCE)
    _, rest = _element(outer, _SEQUENCE)  # tbsCertificate
    algorithm, _ = _element(rest, _SEQUENCE)
    identifier, parameters = _element(algorithm, _OBJECT_IDENTIFIER)
    if identifier.hex() == _RSASSA_PSS:
        return _pss_hash(parameters)
    if (name := _SIGNATURE_HASHES.get(identifier.hex())) is None:
        raise CertificateError(f"signature algorithm {identifier.hex()} has no hash for channel binding")
    return name


def _pss_hash(parameters: bytes) -> str:
    """Return the hash in RSASSA-PSS-params (RFC 4055 §3.1); without one it is SHA-1, which becomes SHA-256."""
    fields, _ = _element(parameters, _SEQUENCE)
    if not fields or fields[0] != _CONTEXT_0:
        return _DEFAULT_HASH
    tagged, _ = _element(fields, _CONTEXT_0)
    algorithm, _ = _element(tagged, _SEQUENCE)
    identifier, _ = _element(algorithm, _OBJECT_IDENTIFIER)
    if (name := _HASHES.get(identifier.hex())) is None:
        raise CertificateError(f"hash {identifier.hex()} of RSASSA-PSS is not known")
    return name


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the contents of the first DER element and what is behind it."""
    if len(data) < 2 or data[0] != tag:
        raise CertificateError(f"not a certificate: no element 0x{tag:02x}")
    length, start = data[1], 2
    if length & _LONG_FORM:
        count = length & ~_LONG_FORM
        if not 0 < count <= _MAX_LENGTH_BYTES:
            raise CertificateError("not a certificate: length is not DER")
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if start + length > len(data):
        raise CertificateError("not a certificate: it ends early")
    return data[start : start + length], data[start + length :]
