"""aiohttp, WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from tests.interop.clients.page import url

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Hear an echo."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url(target, "ws"), ssl=target.context or True) as client,
    ):
        await client.send_str("ahoy")
        said = await client.receive_str(timeout=20)
    assert said == "ahoy"
    return said
