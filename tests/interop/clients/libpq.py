"""What every client over libpq is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.interop.target import Target


def conninfo(target: Target) -> str:
    """Return the connection string; TLS is verified to the name."""
    tls = f"verify-full sslrootcert={target.ca_file}" if target.is_tls else "disable"
    return f"host={target.host} port={target.port} user=postgres dbname=postgres connect_timeout=10 sslmode={tls}"
