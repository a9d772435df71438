"""PostgreSQL with a pool that is kept in a module global and serves every request of this worker."""

import asyncio

import asyncpg
from workers import Request, Response, WorkerEntrypoint, env

pool: asyncpg.Pool | None = None
first = asyncio.Lock()


async def database() -> asyncpg.Pool:
    global pool
    async with first:  # two requests may be the first
        if pool is None:
            pool = await asyncpg.create_pool(env.DB.connection_string, min_size=1, max_size=10)
    return pool


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        async with (await database()).acquire() as db, db.transaction():
            customers = await db.fetchval("SELECT count(*) FROM customers")
            backend = await db.fetchval("SELECT pg_backend_pid()")
        return Response.json({"customers": customers, "backend": backend})
