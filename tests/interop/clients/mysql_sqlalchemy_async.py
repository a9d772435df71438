"""SQLAlchemy, async over aiomysql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask through an engine with its pool."""
    facts = target.facts
    url = URL.create(
        "mysql+aiomysql", facts["user"], facts["password"], target.host, target.port, database=facts["database"]
    )
    engine = create_async_engine(url, connect_args={"ssl": target.context})
    try:
        async with engine.connect() as db:
            return check_mysql(target, (await db.execute(text(MYSQL))).one())
    finally:
        await engine.dispose()
