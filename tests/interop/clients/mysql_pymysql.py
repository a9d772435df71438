"""PyMySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql

from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    facts = target.facts
    with (
        pymysql.connect(
            host=target.host,
            port=target.port,
            user=facts["user"],
            password=facts["password"],
            database=facts["database"],
            ssl=target.context,
            ssl_disabled=not target.is_tls,
        ) as db,
        db.cursor() as cursor,
    ):
        cursor.execute(MYSQL)
        return check_mysql(target, cursor.fetchone())
