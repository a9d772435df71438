"""Servers that come from PyPI and live as long as a block of code: for ``longshore demo`` and for tests."""

from __future__ import annotations

from longshore.embedded.postgres import PostgresServer, PostgresUnavailable, running_postgres

__all__ = ["PostgresServer", "PostgresUnavailable", "running_postgres"]
