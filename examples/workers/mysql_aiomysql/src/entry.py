"""MySQL or MariaDB with aiomysql, over TLS with the certificate verified."""

import ssl

import aiomysql
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        db = self.env.DB
        tls = ssl.create_default_context()
        async with (
            aiomysql.connect(db.host, db.user, db.password, db.database, db.port, ssl=tls) as connection,
            connection.cursor(aiomysql.DictCursor) as cursor,
        ):
            await cursor.execute("SELECT * FROM customers ORDER BY id")
            return Response.json(await cursor.fetchall())
