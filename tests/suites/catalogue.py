"""Which suites there are, and how each is run at a port."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PREPARATION", "SUITES", "Suite"]

_PYTEST = (
    *(sys.executable, "-m", "pytest", "-v", "--tb=short", "-rfE", "-W", "default", "-o", "addopts="),
    *("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:anyio"),
)

PREPARATION = (
    "CREATE SCHEMA IF NOT EXISTS test_schema; CREATE SCHEMA IF NOT EXISTS test_schema_2;"
    " CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext"
)
"""What the suites want to find in the database."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite."""

    package: str
    """On PyPI; its sdist has the tests."""
    version: str
    folder: str
    """What is copied out of the sdist: the driver itself is the installed one."""
    command: tuple[str, ...]
    """``{port}`` and ``{folder}`` are filled in."""
    dialect: str = ""
    is_unittest: bool = False

    def words(self, port: int, folder: Path) -> list[str]:
        """Return the command."""
        return [word.format(port=port, folder=folder) for word in self.command]

    def environment(self, port: int) -> dict[str, str]:
        """Return what the suite reads from its environment."""
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGPASSWORD": "pw"}
        psycopg2 = {"HOST": "127.0.0.1", "PORT": str(port), "USER": "postgres"}
        return {
            **place,
            "PGDATABASE": "postgres",
            "PSYCOPG2_TESTDB": "postgres",
            **{f"PSYCOPG2_TESTDB_{name}": value for name, value in psycopg2.items()},
        }


def _sqlalchemy(driver: str) -> Suite:
    address = f"--dburi=postgresql+{driver}://postgres:pw@127.0.0.1:{{port}}/postgres"
    command = (*_PYTEST, "test/dialect/test_suite.py", "-o", "timeout=60", "--maxfail=500", address)
    return Suite("sqlalchemy", "2.1.9", "", command, dialect=driver)


SUITES = {
    "asyncpg": Suite(
        "asyncpg",
        "0.32.0",
        "tests",
        (*_PYTEST, "tests", "-o", "timeout=60", "--deselect", "tests/test__sourcecode.py"),
    ),
    "psycopg2": Suite(
        "psycopg2",
        "2.9.13",
        "tests",
        (sys.executable, "-m", "unittest", "-v", "tests.test_suite"),
        is_unittest=True,
    ),
    "pg8000": Suite("pg8000", "1.31.6", "test", (*_PYTEST, "test", "-o", "timeout=300")),
    **{f"sqlalchemy-{driver}": _sqlalchemy(driver) for driver in ("asyncpg", "psycopg2", "pg8000")},
}
