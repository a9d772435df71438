"""Cancel what a server connection does (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.encryption import open_transport
from longshore.pool.servers.login_failed import LoginFailed
from longshore.proto.postgres.frontend_messages import CancelRequest
from longshore.proto.postgres.serialize import serialize_startup

if TYPE_CHECKING:
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.dialing import ServerDialer

__all__ = ["send_cancel"]

_LIMIT_S = 10.0


async def send_cancel(server: ServerConnection, dialer: ServerDialer = DIRECT) -> bool:
    """Send a CancelRequest, encrypted as the connection is; return whether the server has taken it.

    The server closes the connection when it has told the process: only then no statement that comes later can be hit.

    Cancellation: the request may be on its way.
    """
    memory, place = server.memory, server.place
    assert place is not None, "it was opened by open_server"
    host, port, tls = place
    if dialer is DIRECT and (peer := server.transport.get_extra_info("peername")) and not host.startswith("/"):
        address: str = peer[0]  # a name may have several, and only one of them knows the process
    else:
        address = host
    try:
        async with asyncio.timeout(_LIMIT_S):
            transport = await open_transport(address, port, tls, dialer, server_name=host)
            try:
                ended = _End()
                transport.set_protocol(ended)
                transport.write(serialize_startup(CancelRequest(memory.pid, memory.cancel_key)))
                await ended.wait()
            finally:
                transport.abort()
    except (LoginFailed, TimeoutError):
        return False
    return True


class _End(asyncio.Protocol):
    """Waits for the end of a connection."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take it."""
        self._ended.set()

    async def wait(self) -> None:
        """Wait for it.

        Cancellation: safe.
        """
        await self._ended.wait()
