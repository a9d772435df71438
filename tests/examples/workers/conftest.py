"""The table ``customers``, on a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import psycopg
import pymysql
import pytest

from tests.examples.workers.hosting import CUSTOMERS
from tests.server_process import HOST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server

TABLE = "CREATE TABLE customers (id integer PRIMARY KEY, name varchar(40) NOT NULL, city varchar(40) NOT NULL)"
INSERT = "INSERT INTO customers (id, name, city) VALUES (%(id)s, %(name)s, %(city)s)"


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Server) -> str:
    """A database with the table."""
    with psycopg.connect(f"postgres://postgres@{postgres_server.address}/postgres", autocommit=True) as db:
        db.execute("CREATE DATABASE shop")
    url = f"postgres://postgres:unused@{postgres_server.address}/shop"
    with psycopg.connect(url) as db, db.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.executemany(INSERT, CUSTOMERS)
    return url


@pytest.fixture(scope="session")
def mysql_url(mysql_server: Server, ca_file: Path) -> str:
    """A database with the table; its account may only come over TLS."""
    facts = mysql_server.facts
    with (
        pymysql.connect(
            host=HOST,
            port=mysql_server.port,
            user=facts["user"],
            password=facts["password"],
            database=facts["database"],
            ssl=ssl.create_default_context(cafile=str(ca_file)),
        ) as db,
        db.cursor() as cursor,
    ):
        cursor.execute(TABLE)
        cursor.executemany(INSERT, CUSTOMERS)
        db.commit()
    return f"mysql://{facts['user']}:{facts['password']}@{mysql_server.address}/{facts['database']}"


@pytest.fixture(autouse=True)
def _trust(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system's trust be the tests' authority, as an administrator would."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
