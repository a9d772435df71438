"""psycopg 3, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from tests.interop.clients.libpq import conninfo
from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    with psycopg.connect(conninfo(target)) as db:
        return check_postgres(target, db.execute(POSTGRES).fetchone())
