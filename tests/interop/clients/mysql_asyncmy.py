"""asyncmy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncmy

from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask."""
    facts = target.facts
    async with (
        asyncmy.connect(
            host=target.host,
            port=target.port,
            user=facts["user"],
            password=facts["password"],
            database=facts["database"],
            ssl=target.context,
        ) as db,
        db.cursor() as cursor,
    ):
        await cursor.execute(MYSQL)
        return check_mysql(target, await cursor.fetchone())
