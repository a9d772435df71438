"""pg8000."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pg8000.dbapi

from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    with closing(
        pg8000.dbapi.connect(
            "postgres", host=target.host, port=target.port, database="postgres", ssl_context=target.context or False
        )
    ) as db:
        cursor = db.cursor()
        cursor.execute(POSTGRES)
        return check_postgres(target, cursor.fetchone())
