"""Two pool processes that keep their results in one Redis."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.cli.launched import run_longshore
from tests.pool_process import PoolLauncher
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server_process import Server

pytestmark = [pytest.mark.needs("postgres", "redis-server"), pytest.mark.timeout(120)]

READ = "SELECT v FROM stored"
CACHE = "[databases.postgres.cache]\nmax_age_s = 600\n"


@pytest.fixture
def two_pools(tmp_path: Path, postgres_server: Server) -> Iterator[tuple[PoolLauncher, PoolLauncher]]:
    """Launchers of two pools in front of a new table."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            made.append(PoolLauncher(folder, postgres_server.port, stack))
        with psycopg.connect(made[0].url, autocommit=True) as direct:
            direct.execute("DROP TABLE IF EXISTS stored; CREATE TABLE stored (v int); INSERT INTO stored VALUES (1)")
        yield made[0], made[1]


def read(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    """Read through a pool."""
    row = connection.execute(READ).fetchone()
    assert row is not None
    return int(row[0])


def reads(pool: PoolLauncher) -> dict[str, int]:
    """Return how many reads had which reason."""
    with (
        psycopg.connect(host=HOST, port=pool.port, user="postgres", dbname="longshore", autocommit=True) as admin,
        admin.cursor(row_factory=psycopg.rows.dict_row) as cursor,
    ):
        return {row["reason"]: row["reads"] for row in cursor.execute("SHOW CACHE")}


def clear(pool: PoolLauncher) -> None:
    """Say CLEAR CACHE."""
    with psycopg.connect(host=HOST, port=pool.port, user="postgres", dbname="longshore", autocommit=True) as admin:
        admin.execute("CLEAR CACHE")


def known(pool: PoolLauncher, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Read until the pool knows the catalogue, and so may keep what it reads."""
    while not reads(pool).keys() & {"hit", "miss"}:
        read(connection)


def test_what_one_process_writes_ends_what_the_other_one_keeps(
    two_pools: tuple[PoolLauncher, PoolLauncher], redis_server: Server
) -> None:
    settings = f'admin_users = ["postgres"]\ncache_store = "redis://{HOST}:{redis_server.port}"'
    for pool in two_pools:
        pool.write(settings, rest=CACHE)
        pool.start()
    one, two = two_pools
    here, there = one.connect(prepare_threshold=None), two.connect(prepare_threshold=None)
    for pool, connection in ((one, here), (two, there)):
        known(pool, connection)

    def hits() -> tuple[int, int]:
        return reads(one).get("hit", 0), reads(two).get("hit", 0)

    clear(one)
    before = hits()
    assert read(here) == 1
    while hits()[1] == before[1]:  # the first one's answer is stored behind its back
        assert read(there) == 1
    with psycopg.connect(one.url, autocommit=True) as direct:
        direct.execute("UPDATE stored SET v = 2")
    assert read(here) == read(there) == 1, "nobody has told them"
    here.execute("UPDATE stored SET v = 3")
    assert read(there) == 3
    there.execute("UPDATE stored SET v = 4")
    assert read(here) == 4
    with psycopg.connect(one.url, autocommit=True) as direct:
        direct.execute("UPDATE stored SET v = 5")
    clear(two)
    assert read(here) == read(there) == 5


def test_without_its_store_a_pool_says_so_and_serves(two_pools: tuple[PoolLauncher, PoolLauncher]) -> None:
    pool, port = two_pools[0], free_port()
    pool.write(f'admin_users = ["postgres"]\ncache_store = "redis://u:secret@{HOST}:{port}/2"', rest=CACHE)
    checked = run_longshore("pool", "--check", cwd=pool.folder)
    assert checked.returncode == 1
    assert f"failed  cache_store  redis://{HOST}:{port}/2: " in checked.stdout
    running = pool.start(ready=f"the store of the read cache, redis://{HOST}:{port}/2, does not answer")
    connection = pool.connect(prepare_threshold=None)
    while "store unavailable" not in reads(pool):
        assert read(connection) == 1
    connection.execute("UPDATE stored SET v = 2")
    assert read(connection) == 2
    pool.write('admin_users = ["postgres"]', rest=CACHE)
    running.process.send_signal(1)
    running.wait_for(r"reloaded.*pool\.cache_store")
    running.process.terminate()
    assert running.ended() == 0
    assert "Cache" in running.text
    assert "secret" not in running.text + checked.stdout


def test_a_store_on_the_command_line(two_pools: tuple[PoolLauncher, PoolLauncher], redis_server: Server) -> None:
    pool, url = two_pools[0], f"redis://{HOST}:{redis_server.port}"
    checked = run_longshore("pool", pool.url, "--cache", "--cache-store", url, "--check", cwd=pool.folder)
    assert f"ok      cache_store  {url}" in checked.stdout
    assert checked.returncode == 0
    refused = run_longshore("pool", pool.url, "--cache-store", url, "--check", cwd=pool.folder)
    assert "add --cache" in refused.stderr + refused.stdout
    assert refused.returncode == 64
