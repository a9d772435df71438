"""A PostgreSQL for the tests: the one of TEST_DATABASE_URL, or one of their own that comes from PyPI."""

import os
from pathlib import Path

import pytest
from longshore.embedded import running_postgres

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def database_url():
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with running_postgres(sql=(PROJECT / "schema.sql").read_text(encoding="utf-8")) as server:
        yield server.url


@pytest.fixture(scope="session")
def worker_bindings(database_url):
    """What the worker of the tests finds in its `env`."""
    return {"DB": database_url}
