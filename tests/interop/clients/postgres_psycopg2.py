"""psycopg2."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2

from tests.interop.clients.libpq import conninfo
from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    with closing(psycopg2.connect(conninfo(target))) as db, db.cursor() as cursor:
        cursor.execute(POSTGRES)
        return check_postgres(target, cursor.fetchone())
