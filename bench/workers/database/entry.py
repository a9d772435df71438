"""A request that asks a database, over a connection of its own or over one that is kept in a global."""

from typing import Any

import psycopg
from workers import Response, WorkerEntrypoint

kept: list[Any] = []


class Default(WorkerEntrypoint):
    """Asks the database of the binding, or the one of the variable."""

    async def fetch(self, request: object) -> Response:
        """Answer with the last result."""
        row = None
        connection = kept.pop() if kept else await self._connect()
        try:
            for number in range(self.env.QUERIES):
                cursor = await connection.execute("select %s::int", (number,))
                row = await cursor.fetchone()
        finally:
            if self.env.IS_KEPT:
                kept.append(connection)
            else:
                await connection.close()
        return Response(str(row))

    async def _connect(self) -> Any:
        url = self.env.URL or self.env.DB.connection_string
        # Prepared statements do not go through PgBouncer's transaction mode.
        return await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)
