"""Name resolution by the system: ``getaddrinfo`` in the loop's thread pool."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from longshore.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SystemResolver", "ip_of_sockaddr", "resolve_error"]


class SystemResolver:
    """Resolves as every other program on the machine does (``/etc/hosts``, ``nsswitch.conf``, DNS)."""

    async def resolve(self, host: str, port: int) -> Sequence[IPv4Address | IPv6Address]:
        """Return the addresses of ``host`` in the system's order of preference (RFC 6724).

        Raises:
            ResolveError: the name is unknown or the name service does not answer.

        Cancellation: safe; the look-up itself goes on in its thread and its answer is dropped.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise resolve_error(host, exc) from exc
        addresses = dict.fromkeys(ip_of_sockaddr(sockaddr) for *_, sockaddr in found)
        if not addresses:
            raise ResolveError(f"cannot resolve {host!r}: it has no address", address=host, during="resolve")
        return list(addresses)


def ip_of_sockaddr(sockaddr: tuple[Any, ...]) -> IPv4Address | IPv6Address:
    """Return the address of what ``getaddrinfo`` gives for a socket, with its zone."""
    host = str(sockaddr[0])
    scope = sockaddr[3] if len(sockaddr) == 4 else 0
    return ip_address(f"{host}%{scope}" if scope and "%" not in host else host)


def resolve_error(host: str, exc: OSError | UnicodeError) -> ResolveError:
    """Return what a failed look-up of ``host`` is for the caller of ``connect()``."""
    said = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return ResolveError(
        f"cannot resolve {host!r}: {said}; check the spelling and the machine's DNS settings",
        address=host,
        during="resolve",
    )
