"""The metrics of the pools."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from longshore.pool.inspection.model import ClientState, PoolInfo, Snapshot
from longshore.pool.metric_families import MAX_POOLS, families
from longshore.pool.metrics import serve_metrics
from longshore.pool.model import Mode
from longshore.pool.statistics import Statistics
from tests.pool.admin.rig import HOST, admin_on
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.server_process import Server


def _pool(number: int) -> PoolInfo:
    return PoolInfo(
        database="app",
        user=f"user{number}",
        mode=Mode.TRANSACTION,
        size=2,
        clients={ClientState.WAITING: 1},
        servers={},
        max_wait_s=float(number),
        is_paused=False,
        statistics=Statistics(transactions=1),
    )


def test_pools_without_end_are_no_series_without_end() -> None:
    found = {each.name: each for each in families(Snapshot(pools=tuple(map(_pool, range(MAX_POOLS + 50)))))}
    samples = found["longshore_pool_transactions"].samples
    assert len(samples) == MAX_POOLS + 1
    assert (samples[-1].labels["user"], samples[-1].value) == ("other", 50.0)
    assert sum(sample.value for sample in samples) == MAX_POOLS + 50


def test_two_pools_with_the_same_labels_are_one_series() -> None:
    found = {each.name: each for each in families(Snapshot(pools=(_pool(1), _pool(1))))}
    (sample,) = found["longshore_pool_transactions"].samples
    assert sample.value == 2


@pytest.mark.needs("postgres")
async def test_a_scrape_says_what_was_done(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig:
        with serve_metrics(rig.pools, HOST, 0) as server:
            async with session(rig.port, database="app") as one:
                await one.query("SELECT 1")
                await one.query("BEGIN")
                url = f"http://{HOST}:{server.port}/metrics"
                text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    labels = ("app", "postgres")
    assert values["longshore_pool_size", *labels] == 2
    assert values["longshore_pool_queries_total", *labels] >= 2
    assert values["longshore_pool_clients", "app", "idle in transaction", "postgres"] == 1
    assert values["longshore_pool_held_seconds_count", *labels] >= 1
    assert values["longshore_pool_held_seconds_sum", *labels] > 0
    assert values["longshore_pool_server_received_bytes_total", *labels] > 0
