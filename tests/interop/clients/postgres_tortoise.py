"""Tortoise ORM, over asyncpg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tortoise import Model, Tortoise, connections, fields

from tests.interop.clients.questions import BACKEND

if TYPE_CHECKING:
    from tests.interop.target import Target


class Backend(Model):
    """A row of the view that says how a client is connected."""

    pid = fields.IntField(primary_key=True)
    ssl = fields.BooleanField()

    class Meta:
        """Its name."""

        table = "pg_stat_ssl"


async def run(target: Target) -> str:
    """Find the row of this connection."""
    credentials = {
        "host": target.host,
        "port": target.port,
        "user": "postgres",
        "password": None,
        "database": "postgres",
        "ssl": target.context or False,
        "min_size": 1,
        "max_size": 1,
    }
    await Tortoise.init(
        config={
            "connections": {"default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
            "apps": {"interop": {"models": [__name__], "default_connection": "default"}},
        }
    )
    try:
        rows = await connections.get("default").execute_query_dict(BACKEND)
        backend = await Backend.get(pid=rows[0]["pg_backend_pid"])
        assert backend.ssl == target.is_tls
        return f"{backend.ssl}"
    finally:
        await Tortoise.close_connections()
