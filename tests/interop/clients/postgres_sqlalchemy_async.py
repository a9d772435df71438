"""SQLAlchemy, async ORM over asyncpg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask through an engine with its pool."""
    engine = create_async_engine(
        f"postgresql+asyncpg://postgres@{target.address}/postgres", connect_args={"ssl": target.context or False}
    )
    try:
        async with engine.connect() as db:
            return check_postgres(target, (await db.execute(text(POSTGRES))).one())
    finally:
        await engine.dispose()
