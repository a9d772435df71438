"""What a transport tells of the other side (shell)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from longshore.pool.clients.auth import ClientPeer

if TYPE_CHECKING:
    import asyncio

    from longshore.pool.clients.tls import ClientTls

__all__ = ["peer_of", "shown_peer"]


def peer_of(transport: asyncio.Transport, tls: ClientTls | None) -> ClientPeer:
    """Return what is known of a client.

    Args:
        transport: its connection.
        tls: what it may be encrypted with.
    """
    encrypted = transport.get_extra_info("ssl_object")
    return ClientPeer(
        is_local=_is_local(transport.get_extra_info("peername")),
        is_unix=_is_unix(transport.get_extra_info("peername")),
        is_encrypted=encrypted is not None,
        common_name=_common_name(encrypted),
        end_point=tls.end_point if tls is not None and encrypted is not None else None,
    )


def shown_peer(transport: asyncio.Transport | None) -> str:
    """Return an address for a person's eyes."""
    name = None if transport is None else transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return "unix"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _is_local(name: Any) -> bool:
    # Nothing is known of one who has reset a TCP connection already, and whose statement could still be read.
    return _is_unix(name) or (isinstance(name, tuple) and _is_loopback(name[0]))


def _is_unix(name: Any) -> bool:
    return isinstance(name, (str, bytes))


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_loopback


def _common_name(encrypted: Any) -> str | None:
    """Return the common name of a certificate; OpenSSL gives only those that it has verified."""
    certificate = None if encrypted is None else encrypted.getpeercert()
    if not certificate:
        return None
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if len(names) == 1 else None  # of several, nobody can say which is meant
