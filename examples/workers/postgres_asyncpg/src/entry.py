"""PostgreSQL with asyncpg: one connection per request, closed behind the answer."""

import asyncpg
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        db = await asyncpg.connect(self.env.DB.connection_string)
        try:
            rows = await db.fetch("SELECT * FROM customers ORDER BY id")
        finally:
            self.ctx.wait_until(db.close())
        return Response.json([dict(row) for row in rows])
