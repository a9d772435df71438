"""Turns ``TlsOptions`` into an ``ssl.SSLContext``, and keeps the contexts that are in use."""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.errors import ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.core.tls_options import TlsOptions

__all__ = ["client_context", "load_identity", "make_client_context", "trust_also"]

# Reading the system's CA bundle takes tens of milliseconds; a program uses few different settings.
_CACHED_CONTEXTS = 64


_extra_roots = ""


def trust_also(pem: str) -> str:
    """Trust more authorities wherever the system's are trusted, from now on; return those of before.

    Contexts that are in use already do not change.

    Args:
        pem: certificates, or ``""`` for none.

    Raises:
        ArgumentValueError: they are none.
    """
    global _extra_roots
    if pem:
        _add_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem)
    former, _extra_roots = _extra_roots, pem
    return former


def client_context(options: TlsOptions, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return the client context for ``options``; the same one while no file that it names has changed.

    Raises:
        ArgumentValueError: a CA, certificate or key cannot be read or does not fit.
    """
    if options.context is not None:
        return options.context
    files = (options.ca if _is_path(options.ca) else None, options.certificate, options.private_key)
    roots = _extra_roots if options.ca is None else ""
    return _cached_context(options, alpn, roots, tuple(_stamp(file) for file in files))


def make_client_context(
    options: TlsOptions, alpn: tuple[str, ...], *, extra_roots: str = "", identity: str = ""
) -> ssl.SSLContext:
    """Return a new client context, for material that is in no file.

    Args:
        options: trust and versions.
        alpn: protocols to offer.
        extra_roots: PEM certificates to trust besides.
        identity: a PEM chain, leaf first, and its private key without a password; ``""`` for none.

    Raises:
        ArgumentValueError: a CA or the identity cannot be used.
    """
    context = _new_context(options, alpn, extra_roots)
    if identity:
        load_identity(context, identity, "client certificate")
    return context


def load_identity(context: ssl.SSLContext, identity: str, name: str) -> None:
    """Show this certificate to peers.

    Args:
        context: of a client or a server.
        identity: a PEM chain, leaf first, and its private key without a password.
        name: what it is, for the message.

    Raises:
        ArgumentValueError: it cannot be used.
    """
    try:
        with _as_file(identity) as path:
            context.load_cert_chain(path, password=_no_password)
    except (OSError, ValueError) as exc:
        raise ArgumentValueError(
            f"the {name} cannot be used: {exc}; give a PEM chain and the key that belongs to it, without a password"
        ) from exc


def _no_password() -> str:
    """Refuse; OpenSSL would ask at the terminal."""
    raise ValueError("the private key has a password")


@lru_cache(maxsize=_CACHED_CONTEXTS)
def _cached_context(
    options: TlsOptions, alpn: tuple[str, ...], extra_roots: str, stamps: tuple[object, ...]
) -> ssl.SSLContext:
    del stamps  # part of the key only: a renewed certificate file makes a new context
    return _new_context(options, alpn, extra_roots)


def _new_context(options: TlsOptions, alpn: tuple[str, ...], extra_roots: str) -> ssl.SSLContext:
    context = ssl.create_default_context() if options.ca is None else _context_trusting(options.ca)
    if extra_roots:
        _add_roots(context, extra_roots)
    context.minimum_version = _VERSIONS[options.minimum_version]
    if options.maximum_version is not None:
        context.maximum_version = _VERSIONS[options.maximum_version]
    # A server could otherwise start a TLS 1.2 renegotiation in the middle of the data (RFC 5746 §5).
    context.options |= ssl.OP_NO_RENEGOTIATION
    if options.certificate is not None:
        _load_identity(context, options)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def _context_trusting(ca: str | bytes | os.PathLike[str]) -> ssl.SSLContext:
    try:
        if _is_path(ca):
            return ssl.create_default_context(cafile=os.fspath(ca))
        is_pem = isinstance(ca, bytes) and b"-----BEGIN" in ca
        return ssl.create_default_context(cadata=ca.decode("ascii") if is_pem else ca)  # type: ignore[union-attr,arg-type]  # is_pem implies bytes
    except (OSError, ValueError) as exc:
        shown = os.fspath(ca) if _is_path(ca) else "given as data"
        raise ArgumentValueError(f"tls.ca {shown!r} cannot be used: {exc}; give PEM certificates") from exc


def _add_roots(context: ssl.SSLContext, pem: str) -> None:
    try:
        context.load_verify_locations(cadata=pem)
    except (OSError, ValueError) as exc:
        raise ArgumentValueError(f"the additional CA certificates cannot be used: {exc}; give PEM") from exc


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Give ``text`` a path for as long as OpenSSL reads it, in memory where the system can: it holds a private key."""
    if sys.platform == "linux":
        fd = os.memfd_create("longshore-identity", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{fd}"
    else:
        fd, path = tempfile.mkstemp()  # mode 0600
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            yield path
    finally:
        if sys.platform != "linux":
            os.unlink(path)


def _load_identity(context: ssl.SSLContext, options: TlsOptions) -> None:
    assert options.certificate is not None
    try:
        context.load_cert_chain(options.certificate, options.private_key, options.private_key_password)
    except OSError as exc:
        named = os.fspath(options.certificate)
        raise ArgumentValueError(
            f"tls.certificate {named!r} cannot be used: {exc}; give a PEM chain and the key that belongs to it"
        ) from exc


def _is_path(ca: object) -> bool:
    return isinstance(ca, os.PathLike) or (isinstance(ca, str) and "-----BEGIN" not in ca)


def _stamp(file: object) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        status = Path(file).stat()  # type: ignore[arg-type]  # a path, by _is_path
    except OSError:
        return None  # loading it will say what is wrong
    return status.st_mtime_ns, status.st_size
