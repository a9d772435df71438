"""Questions to databases whose answers show that rows came, and whether they came encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.interop.target import Target

__all__ = ["BACKEND", "MYSQL", "POSTGRES", "check_mysql", "check_postgres"]

BACKEND = "SELECT pg_backend_pid()"

POSTGRES = f"""
SELECT sum(n), (SELECT ssl FROM pg_stat_ssl WHERE pid = ({BACKEND})) FROM generate_series(1, 1000) AS n
"""

MYSQL = """
SELECT 6 * 7, VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'
"""


def check_postgres(target: Target, row: Sequence[Any] | None) -> str:
    """Return the answer to ``POSTGRES`` as text, once it is right."""
    assert row is not None
    total, is_encrypted = row
    assert (int(total), bool(is_encrypted)) == (500500, target.is_tls), row
    return f"{total}"


def check_mysql(target: Target, row: Sequence[Any] | None) -> str:
    """Return the answer to ``MYSQL`` as text, once it is right."""
    assert row is not None
    product, is_encrypted = row
    assert (int(product), bool(int(is_encrypted))) == (42, target.is_tls), row
    return f"{product}"
