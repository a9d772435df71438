"""Cancel what a server connection does (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.proto.postgres.frontend_messages import CancelRequest
from longshore.proto.postgres.serialize import serialize_startup

if TYPE_CHECKING:
    from longshore.pool.server_memory import ServerMemory
    from longshore.pool.target import Target

__all__ = ["send_cancel"]

_LIMIT_S = 10.0


async def send_cancel(target: Target, memory: ServerMemory) -> bool:
    """Send a CancelRequest; return whether the server has taken it.

    The server closes the connection when it has told the process: only then no statement that comes later can be hit.

    Cancellation: the request may be on its way.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_LIMIT_S):
            if (path := target.unix_path) is not None:
                reader, writer = await asyncio.open_unix_connection(path)
            else:
                reader, writer = await asyncio.open_connection(target.host, target.port)
            writer.write(serialize_startup(CancelRequest(memory.pid, memory.cancel_key)))
            await reader.read()
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()
    return True
