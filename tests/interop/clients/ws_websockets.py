"""websockets, async."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

from tests.interop.clients.page import url

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Hear an echo."""
    async with connect(url(target, "ws"), ssl=target.context, proxy=None) as client:
        await client.send("ahoy")
        said = await client.recv(decode=True)
    assert said == "ahoy"
    return said
