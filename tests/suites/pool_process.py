"""A pool as a process: ``python -m tests.suites.pool_process UPSTREAM_PORT PORT SIZE [session]``."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop

from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.model import Database, Mode
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target
from longshore.pool.slots.model import Rules


async def _serve(upstream: int, port: int, size: int, mode: Mode) -> None:
    target = Target(host="127.0.0.1", port=upstream, user="", database="")

    def explain(_: object, session_id: int, reason: str, text: str) -> None:
        sys.stdout.write(f"pin of session {session_id}: {reason}: {text[:100]!r}\n")

    pools = Pools([Database(name="*", target=target, rules=Rules(size=size), mode=mode)], on_pin=explain)
    door = ClientDoor(pools=pools)
    server = await asyncio.get_running_loop().create_server(lambda: ClientStart(door), "127.0.0.1", port)
    try:
        async with server:
            await server.serve_forever()
    finally:
        await pools.aclose()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(
            _serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Mode((sys.argv[4:] or ["transaction"])[0]))
        )
