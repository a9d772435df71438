"""aiomysql."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiomysql

from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask through a pool."""
    facts = target.facts
    async with (
        aiomysql.create_pool(
            host=target.host,
            port=target.port,
            user=facts["user"],
            password=facts["password"],
            db=facts["database"],
            ssl=target.context,
        ) as pool,
        pool.acquire() as db,
        db.cursor() as cursor,
    ):
        await cursor.execute(MYSQL)
        return check_mysql(target, await cursor.fetchone())
