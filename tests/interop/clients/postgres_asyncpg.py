"""asyncpg."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask through a pool of two."""
    async with asyncpg.create_pool(
        host=target.host,
        port=target.port,
        user="postgres",
        database="postgres",
        ssl=target.context or False,
        min_size=2,
        max_size=2,
    ) as pool:
        return check_postgres(target, await pool.fetchrow(POSTGRES))
