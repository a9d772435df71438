"""aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from tests.interop.clients.page import PAGE, url

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Get the page."""
    connector = aiohttp.TCPConnector(ssl=target.context or True, resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url(target)) as response:
        page = await response.text()
    assert page == PAGE
    return page
