"""Django's ORM, over psycopg 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django
from django.conf import settings

from tests.interop.clients.libpq import conninfo

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Find the row of this connection."""
    options = dict(pair.split("=", 1) for pair in conninfo(target).split())
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": options.pop("host"),
        "PORT": options.pop("port"),
        "USER": options.pop("user"),
        "NAME": options.pop("dbname"),
        "OPTIONS": options,
    }
    settings.configure(DATABASES={"default": database})
    django.setup()
    from django.db import connection, models  # noqa: PLC0415 - wants the settings

    class Backend(models.Model):
        """A row of the view that says how a client is connected."""

        pid = models.IntegerField(primary_key=True)
        ssl = models.BooleanField()

        class Meta:
            app_label = "interop"
            db_table = "pg_stat_ssl"
            managed = False

        def __str__(self) -> str:
            return f"{self.ssl}"

    backend = Backend.objects.extra(where=["pid = pg_backend_pid()"]).get()
    connection.close()
    assert backend.ssl == target.is_tls
    return f"{backend}"
