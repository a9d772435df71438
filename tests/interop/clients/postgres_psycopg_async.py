"""psycopg 3, async."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from tests.interop.clients.libpq import conninfo
from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask."""
    async with await psycopg.AsyncConnection.connect(conninfo(target)) as db:
        return check_postgres(target, await (await db.execute(POSTGRES)).fetchone())
