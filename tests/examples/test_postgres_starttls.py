"""The PostgreSQL example against PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples import postgres_starttls
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server

WHAT_THE_SERVER_SEES = "SELECT ssl || ' ' || version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def test_selects_one(postgres_server: Server, ca_file: Path) -> None:
    assert await postgres_starttls.main(postgres_server.address, "SELECT 1", str(ca_file)) == ["1"]


async def test_server_sees_tls(postgres_server: Server, ca_file: Path) -> None:
    rows = await postgres_starttls.main(postgres_server.address, WHAT_THE_SERVER_SEES, str(ca_file))
    assert rows == ["true TLSv1.3"]


async def test_reads_many_rows_to_the_end(postgres_server: Server, ca_file: Path) -> None:
    sql = "SELECT n || repeat('x', 1000), n FROM generate_series(1, 500) AS n"
    rows = await postgres_starttls.main(postgres_server.address, sql, str(ca_file))
    assert rows == [f"{n}{'x' * 1000}" for n in range(1, 501)]


async def test_shows_the_error_of_the_server(postgres_server: Server, ca_file: Path) -> None:
    with pytest.raises(RuntimeError, match="division by zero"):
        await postgres_starttls.main(postgres_server.address, "SELECT 1/0", str(ca_file))


def test_command_line(postgres_server: Server, ca_file: Path) -> None:
    printed = run_example("postgres_starttls", postgres_server.address, "SHOW server_version", ca_file)
    assert printed.startswith(postgres_server.version)
