"""bottom."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from secrets import token_hex
from typing import TYPE_CHECKING

import bottom

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Register and return the server's first greeting."""
    client = bottom.Client(target.host, target.port, ssl=target.context or False)
    # Version 2 makes its events with an argument that asyncio has no more; version 3 needs Python 3.12.
    client._events = defaultdict(asyncio.Event)
    greeting: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @client.on("CLIENT_CONNECT")
    async def register(**_: object) -> None:
        client.send("NICK", nick=f"b{token_hex(3)}")
        client.send("USER", user="bot", realname="bot")

    @client.on("RPL_WELCOME")
    async def welcome(message: str, **_: object) -> None:
        if not greeting.done():
            greeting.set_result(message)

    await client.connect()
    async with asyncio.timeout(20):
        said = await greeting
    await client.disconnect()
    assert "Welcome" in said
    return said
