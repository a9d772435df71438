"""What a program may choose about TLS (PURE values; ``net.tls`` turns them into a context)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from longshore.core.shown import shown
from longshore.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    import os
    import ssl

__all__ = ["TlsOptions", "TlsRequest"]

_VERSIONS: Final = ("TLSv1.2", "TLSv1.3")


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Trust and identity for one connection; the defaults verify against the system's CA bundle.

    Verification cannot be turned off here. A program that must (a test against a broken peer) passes
    an ``ssl.SSLContext`` of its own, and then every other field must be left alone.
    """

    ca: str | bytes | os.PathLike[str] | None = None
    """Trusted roots instead of the system's: PEM text, PEM or DER bytes, or a path to a bundle."""
    certificate: str | os.PathLike[str] | None = None
    """Path of a PEM file with the client's certificate chain."""
    private_key: str | os.PathLike[str] | None = None
    """Path of the PEM key; None when it stands in the ``certificate`` file."""
    private_key_password: str | bytes | None = field(default=None, repr=False)
    """Password of an encrypted key."""
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    """The oldest protocol version that is accepted."""
    maximum_version: Literal["TLSv1.2", "TLSv1.3"] | None = None
    """The newest one, or None for the newest that OpenSSL has."""
    context: ssl.SSLContext | None = None
    """A ready client context, used as it is."""

    def __post_init__(self) -> None:
        for name in ("minimum_version", "maximum_version"):
            value = getattr(self, name)
            if value not in _VERSIONS and not (value is None and name == "maximum_version"):
                raise ArgumentValueError(f"tls.{name}={shown(value)} must be one of {', '.join(_VERSIONS)}")
        if self.maximum_version is not None and self.maximum_version < self.minimum_version:
            raise ArgumentValueError(
                f"tls.maximum_version={self.maximum_version!r} is below tls.minimum_version={self.minimum_version!r}"
            )
        if self.context is not None and not callable(getattr(self.context, "wrap_bio", None)):
            raise ArgumentTypeError(f"tls.context={shown(self.context)} must be an ssl.SSLContext")
        if self.private_key is not None and self.certificate is None:
            raise ArgumentValueError("tls.private_key needs tls.certificate: give the chain that the key belongs to")


@dataclass(frozen=True, slots=True)
class TlsRequest:
    """One handshake to make: who the peer must be, what to offer, how long it may take."""

    server_name: str
    """Name or IP literal the certificate must match; sent as SNI only when it is a name (RFC 6066 §3)."""
    alpn: tuple[str, ...] = ()
    """Protocols to offer, most wanted first (RFC 7301)."""
    options: TlsOptions = TlsOptions()
    """Trust and identity."""
    timeout_s: float | None = None
    """Bound on the handshake, in seconds; None for no bound of its own."""
    binding: str | None = None
    """Name of the binding whose credentials the host is to use, instead of ``options``; see ``DialRequest.binding``."""
