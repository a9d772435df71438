"""MySQL or MariaDB with PyMySQL, which blocks: it works in a thread, over TLS with the certificate verified."""

import asyncio
import ssl
from typing import Any

import pymysql
from pymysql.cursors import DictCursor
from workers import Request, Response, WorkerEntrypoint


def customers(db: Any) -> list[dict[str, Any]]:
    with (
        pymysql.connect(
            host=db.host,
            port=db.port,
            user=db.user,
            password=db.password,
            database=db.database,
            ssl=ssl.create_default_context(),
            cursorclass=DictCursor,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM customers ORDER BY id")
        return list(cursor.fetchall())


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        return Response.json(await asyncio.to_thread(customers, self.env.DB))
