"""PostgreSQL with pg8000, which blocks: it works in a thread, and other requests are served meanwhile."""

import asyncio
from typing import Any

from pg8000.native import Connection
from workers import Request, Response, WorkerEntrypoint


def customers(db: Any) -> list[dict[str, Any]]:
    connection = Connection(db.user, db.host, db.database, db.port, db.password)
    try:
        rows = connection.run("SELECT * FROM customers ORDER BY id")
        names = [column["name"] for column in connection.columns]
    finally:
        connection.close()
    return [dict(zip(names, row, strict=True)) for row in rows]


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        return Response.json(await asyncio.to_thread(customers, self.env.DB))
