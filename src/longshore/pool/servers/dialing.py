"""How the connections of a pool are opened (shell)."""

from __future__ import annotations

import socket
from typing import Protocol

from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.net.opening import Opening
from longshore.net.resolve import SystemResolver

__all__ = ["DIRECT", "DirectServerDialer", "ServerDialer"]

_KEEP_ALIVE_S = 60.0
_PROBES = 3
_UNANSWERED_S = 30.0
"""So long may what we sent stay without an acknowledgement, until the connection counts as dead."""
_RESOLVER = SystemResolver()


class ServerDialer(Protocol):
    """Opens TCP connections to databases."""

    async def dial(self, host: str, port: int) -> socket.socket:
        """Return a connected, non-blocking socket.

        Raises:
            OSError: nobody answers there, or it is forbidden; the message says which and what to do.

        Cancellation: safe; every descriptor opened so far is closed.
        """


class DirectServerDialer:
    """Connects from this process, with Happy Eyeballs (RFC 8305)."""

    async def dial(self, host: str, port: int) -> socket.socket:
        """Return a connected, non-blocking socket; see ``ServerDialer``."""
        request = DialRequest(SocketAddress(host, port), keep_alive_s=_KEEP_ALIVE_S)
        opening = Opening(request, _RESOLVER, None)
        opened = opening.begin()
        if opened is None:
            opened = await opening.finish()
        notice_death(opened.sock)
        return opened.sock


def notice_death(sock: socket.socket) -> None:
    """Have the system end a connection whose peer is gone without a word, instead of waiting for it for ever."""
    for name, value in (
        ("TCP_USER_TIMEOUT", round(_UNANSWERED_S * 1000)),
        ("TCP_KEEPINTVL", round(_UNANSWERED_S / _PROBES)),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


DIRECT: ServerDialer = DirectServerDialer()
"""Of every pool that nobody gave another one."""
