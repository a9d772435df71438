"""httpx over a socket that a test gives."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from longshore.adapters.httpcore_backend import httpx_transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore import Socket

__all__ = ["over"]


@asynccontextmanager
async def over(socket: Socket, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that speaks over ``socket``."""
    transport = httpx_transport(socket=socket)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.example", **options) as client:
        yield client
