"""How clients are asked who they are (PURE values)."""

from __future__ import annotations

from enum import Enum

__all__ = ["ClientMethod"]


class ClientMethod(Enum):
    """How clients prove who they are; the names of ``pg_hba.conf``."""

    AUTO = "auto"
    """As the secret allows: md5 for an md5 hash, otherwise scram-sha-256."""
    TRUST = "trust"
    """Not at all; clients of this machine only."""
    PASSWORD = "password"  # noqa: S105 - the name of the method
    """The password itself; on encrypted connections only, unless told otherwise."""
    MD5 = "md5"
    SCRAM_SHA_256 = "scram-sha-256"
    CERT = "cert"
    """By a certificate whose common name is the user's name."""
