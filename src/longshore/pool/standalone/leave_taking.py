"""How clients are told that the pool ends (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.errors import error_response

if TYPE_CHECKING:
    from longshore.pool.pools import Pools

__all__ = ["SHUTDOWN", "say_good_bye"]

SHUTDOWN: Final = error_response("FATAL", "57P01", "terminating connection due to administrator command")
_LOOK_EVERY_S: Final = 0.05


async def say_good_bye(pools: Pools, grace_s: float) -> int:
    """End every client as soon as it is between two transactions; return how many were cut off.

    Args:
        pools: whose clients.
        grace_s: how long to wait for the others.

    Cancellation: safe; the clients that are left stay.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace_s
    while True:
        for client in list(pools.clients.values()):
            if client.is_at_rest:
                client.end(SHUTDOWN)
        # One more turn: a transport that was closed tells its protocol later.
        await asyncio.sleep(0)
        if not pools.clients or loop.time() >= deadline:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    left = len(pools.clients)
    for client in list(pools.clients.values()):
        client.end(SHUTDOWN)
    return left
