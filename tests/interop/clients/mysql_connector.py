"""mysql-connector-python: in Python, and over its library in C."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import mysql.connector

from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask with the part in Python."""
    return ask(target, is_pure=True)


def ask(target: Target, *, is_pure: bool) -> str:
    """Ask."""
    facts = target.facts
    tls = {"ssl_ca": target.ca_file, "ssl_verify_identity": True} if target.is_tls else {"ssl_disabled": True}
    with (
        closing(
            mysql.connector.connect(
                host=target.host,
                port=target.port,
                user=facts["user"],
                password=facts["password"],
                database=facts["database"],
                # MariaDB does not know the collation that it would choose.
                charset="utf8mb4",
                collation="utf8mb4_general_ci",
                use_pure=is_pure,
                **tls,
            )
        ) as db,
        db.cursor() as cursor,
    ):
        cursor.execute(MYSQL)
        return check_mysql(target, cursor.fetchone())
