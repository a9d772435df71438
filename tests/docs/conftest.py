"""``bindings_for``: the servers that the documentation's workers speak to, each started when a page first needs it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from longshore.cli.template import TEMPLATES, project_files
from longshore.embedded import running_postgres
from tests.server_process import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.server_process import Server


@pytest.fixture(scope="session")
def docs_postgres() -> Iterator[str]:
    """The database of ``longshore demo``."""
    with running_postgres(sql=project_files(TEMPLATES["postgres"], "docs")["schema.sql"]) as server:
        yield server.url


@pytest.fixture
def docs_mysql(mysql_server: Server, ca_file: Path) -> Iterator[str]:
    """An empty table of that name in MariaDB, whose account may only come over TLS."""
    facts = mysql_server.facts
    account = {name: facts[name] for name in ("user", "password", "database")}
    tls = ssl.create_default_context(cafile=str(ca_file))
    with pymysql.connect(host=HOST, port=mysql_server.port, ssl=tls, **account) as db, db.cursor() as cursor:
        # Other tests may have made one for the whole run; then it stays.
        is_ours = cursor.execute("SHOW TABLES LIKE 'customers'") == 0
        if is_ours:
            cursor.execute("CREATE TABLE customers (id integer PRIMARY KEY, name varchar(40) NOT NULL)")
        yield f"mysql://{facts['user']}:{facts['password']}@{mysql_server.address}/{facts['database']}"
        if is_ours:
            cursor.execute("DROP TABLE customers")


@pytest.fixture
def bindings_for(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """Return what makes the bindings that a worker's source names."""

    def make(source: str) -> dict[str, Any]:
        bindings: dict[str, Any] = {}
        if "env.DB" in source:
            bindings["DB"] = request.getfixturevalue("docs_mysql" if "mysql" in source else "docs_postgres")
        if "env.REDIS_URL" in source:
            bindings["REDIS_URL"] = f"redis://{request.getfixturevalue('redis_server').address}/0"
        return bindings

    return make
