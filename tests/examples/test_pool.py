"""``examples/pool.toml`` runs as it stands, with the port of the fixtures' PostgreSQL."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.cli.launched import launched, run_longshore
from tests.cli.test_pool import add_user
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from tests.server_process import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "pool.toml"


@pytest.mark.needs("postgres")
@pytest.mark.timeout(90)
def test_the_example_serves_the_shop_and_its_reports(tmp_path: Path, postgres_server: Server) -> None:
    port = free_port()
    text = EXAMPLE.read_text().replace(":5432/", f":{postgres_server.port}/")
    (tmp_path / "pool.toml").write_text(text.replace(f"{HOST}:6432", f"{HOST}:{port}"))
    add_user(tmp_path, "shop", "hush")
    add_user(tmp_path, "ops", "hush")
    add_user(tmp_path, "monitoring", "hush")
    done = run_longshore("pool", "--config", "pool.toml", "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    with launched("pool", "--config", "pool.toml", cwd=tmp_path) as running:
        running.wait_for("listening at")
        where = f"host={HOST} port={port} password=hush"
        with psycopg.connect(f"{where} user=shop dbname=shop") as shop:
            assert shop.execute("SELECT 1").fetchone() == (1,)
        with psycopg.connect(f"{where} user=monitoring dbname=reports") as reports:
            assert reports.execute("SELECT 2").fetchone() == (2,)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(f"{where} user=monitoring dbname=shop")
        with psycopg.connect(f"{where} user=ops dbname=longshore", autocommit=True) as admin:
            assert admin.execute("SHOW POOLS").fetchall()
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
