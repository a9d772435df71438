"""``UpgradableConnections``: which plain connections ``StartTls`` may be asked for.

The worker sends a descriptor with ``StartTls``, and could send any. TLS with the credentials of a binding is made only
on a connection that was dialed for that binding, and only once.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.errors import UsageError

if TYPE_CHECKING:
    from longshore.core.info import SocketInfo

__all__ = ["Upgradable", "UpgradableConnections"]

_SO_COOKIE: Final = 57
"""Of Linux, on the architectures that have a sandbox: a number that no other socket ever gets (since 4.12)."""
_COOKIE_BYTES: Final = 8
_MAX_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Upgradable:
    """A plain connection of a binding."""

    binding: str
    address: str
    """As the worker wrote it, for messages."""
    info: SocketInfo


class UpgradableConnections:
    """Those of one worker; when there are too many, the oldest is forgotten."""

    def __init__(self) -> None:
        self._known: dict[object, Upgradable] = {}

    def add(self, sock: socket.socket, upgradable: Upgradable) -> None:
        """Remember a connection.

        Raises:
            OSError: it is broken already.
        """
        if len(self._known) >= _MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[_identity(sock)] = upgradable

    def take(self, sock: socket.socket, binding: str) -> Upgradable:
        """Return what is known of a connection that the worker has sent, and forget it.

        Raises:
            UsageError: it is none that was dialed with this binding, or was upgraded before.
        """
        try:
            identity = _identity(sock)
        except OSError:
            identity = None
        known = self._known.get(identity)
        if known is None or known.binding != binding:
            raise UsageError(f"this connection was not dialed with binding {binding!r}, or has TLS already")
        del self._known[identity]
        return known


def _identity(sock: socket.socket) -> object:
    """Return what tells a socket from all others; addresses where the system has nothing better (macOS)."""
    try:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE_BYTES)
    except OSError:
        return sock.getsockname(), sock.getpeername()
