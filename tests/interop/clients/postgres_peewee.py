"""peewee, over psycopg2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import peewee

from tests.interop.clients.libpq import conninfo

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Find the row of this connection."""
    options = dict(pair.split("=", 1) for pair in conninfo(target).split())
    database = peewee.PostgresqlDatabase(options.pop("dbname"), **options)

    class Backend(peewee.Model):
        """A row of the view that says how a client is connected."""

        pid = peewee.IntegerField(primary_key=True)
        ssl = peewee.BooleanField()

        class Meta:
            table_name = "pg_stat_ssl"

    with database.connection_context(), database.bind_ctx([Backend]):
        backend = Backend.get(Backend.pid == peewee.fn.pg_backend_pid())
        assert backend.ssl == target.is_tls
        return f"{backend.ssl}"
