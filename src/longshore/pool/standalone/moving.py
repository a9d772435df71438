"""Hands clients that are at rest to another process (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from longshore.pool.standalone.packed_secret import pack_secret
from longshore.proto.ipc.takeover import MoveClient

if TYPE_CHECKING:
    from longshore.net.channel import Channel
    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.pools import Pools

__all__ = ["Mover", "is_movable"]

_AT_A_TIME: Final = 128
"""Each that is on its way has two more descriptors."""


def is_movable(client: ClientConnection) -> bool:
    """Say whether a client can be moved at all: the keys of a TLS connection cannot."""
    return client.transport.get_extra_info("ssl_object") is None


class Mover:
    """Moves clients over a channel.

    Args:
        channel: to the successor.
        pools: whose clients.
    """

    def __init__(self, channel: Channel, pools: Pools) -> None:
        self.moving: dict[int, ClientConnection] = {}
        """Those that were sent and not answered."""
        self.moved = 0
        self._channel = channel
        self._pools = pools
        self._refused: set[int] = set()

    def move(self) -> None:
        """Send those that are at rest now."""
        for client in list(self._pools.clients.values()):
            if len(self.moving) >= _AT_A_TIME:
                return
            if client.session_id not in self._refused and is_movable(client):
                self._send(client)

    def rested(self, client: ClientConnection) -> None:
        """Send a client that came to rest just now, when everything else of this moment is done."""
        asyncio.get_running_loop().call_soon(self._send_if_there, client)

    def _send_if_there(self, client: ClientConnection) -> None:
        is_ours = self._pools.clients.get(client.session_id) is client and len(self.moving) < _AT_A_TIME
        if is_ours and client.session_id not in self._refused and is_movable(client):
            self._send(client)

    def taken(self, client_id: int) -> None:
        """Forget a client: the other process has it."""
        client = self.moving.pop(client_id, None)
        if client is not None:
            self.moved += 1
            client.abort()  # closes our copy of the socket, and says nothing to the peer
            self.move()

    def refused(self, client_id: int) -> None:
        """Keep a client."""
        client = self.moving.pop(client_id, None)
        if client is not None:
            self._refused.add(client_id)
            self._keep(client)

    def give_up(self) -> None:
        """Keep all that were not taken."""
        moving, self.moving = self.moving, {}
        for client in moving.values():
            self._keep(client)

    def _keep(self, client: ClientConnection) -> None:
        self._pools.add_client(client)
        client.resume_reading()

    def _send(self, client: ClientConnection) -> None:
        session = client.packed()
        if session is None:
            return
        login = client.login
        message = MoveClient(
            client_id=client.session_id,
            user=login.user,
            database=login.database,
            cancel_pid=login.key[0],
            cancel_secret=login.key[1].hex(),
            tenant=login.tenant,
            session=session,
            secret=pack_secret(client.pool.opener.secret),
        )
        sock = client.transport.get_extra_info("socket")
        # First: what comes from now on is for the other process.
        client.pause_reading()
        try:
            self._channel.send(message, (sock.fileno(),))
        except (OSError, ValueError):
            client.resume_reading()  # no descriptor is free, or the session is too large
            return
        self._pools.remove_client(client)
        self.moving[client.session_id] = client
