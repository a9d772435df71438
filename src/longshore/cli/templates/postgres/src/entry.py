import asyncpg
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        db = await asyncpg.connect(self.env.DB.connection_string)
        rows = await db.fetch("SELECT * FROM customers")
        self.ctx.wait_until(db.close())  # the client need not wait for this
        return Response.json([dict(row) for row in rows])
