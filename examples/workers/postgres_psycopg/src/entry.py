"""PostgreSQL with psycopg 3: ``/`` asks with its async connection, ``/sync`` with the blocking one in a thread."""

import asyncio

import psycopg
from psycopg.rows import DictRow, dict_row
from workers import Request, Response, WorkerEntrypoint

QUERY = "SELECT * FROM customers ORDER BY id"


async def customers(conninfo: str) -> list[DictRow]:
    async with await psycopg.AsyncConnection.connect(conninfo, row_factory=dict_row) as db:
        return await (await db.execute(QUERY)).fetchall()


def customers_blocking(conninfo: str) -> list[DictRow]:
    with psycopg.connect(conninfo, row_factory=dict_row) as db:
        return db.execute(QUERY).fetchall()


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        conninfo = self.env.DB.connection_string
        if request.path == "/sync":
            return Response.json(await asyncio.to_thread(customers_blocking, conninfo))
        return Response.json(await customers(conninfo))
