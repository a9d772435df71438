"""Processes that die while they serve."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.e2e.host import gone, running_host, worker_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

WORKER = """
import os
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/exit":
            os._exit(9)
        return Response(str(os.getpid()))
"""


async def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host:
        pid = host.of("WorkerReady")[0]["pid"]
        psutil.Process(pid).kill()
        exited = await host.next("WorkerExited")
        assert (exited["code"], exited["was_expected"]) == (-signal.SIGKILL, False)
        assert await host.next("RestartScheduled") == {"event": "RestartScheduled", "in_s": 0.0, "crashes": 1}
        ready = await host.next("WorkerReady", worker_id=2)
        async with httpx.AsyncClient(base_url=host.url) as client:
            assert int((await client.get("/")).text) == ready["pid"] != pid


async def test_while_no_worker_runs_connections_wait(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host:
        async with httpx.AsyncClient(base_url=host.url) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/exit")
            assert (await client.get("/")).status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/exit")
            # Its replacement comes after a pause, and the port is not lost meanwhile.
            assert (await client.get("/")).status_code == 200
        assert [event["in_s"] for event in host.of("RestartScheduled")] == [0.0, 1.0]


async def test_the_other_worker_goes_on(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER), workers=2) as host:
        pids = {event["worker_id"]: event["pid"] for event in host.of("WorkerReady")}
        psutil.Process(pids[1]).kill()
        async with httpx.AsyncClient(base_url=host.url) as client:
            assert (await client.get("/")).status_code == 200
        await host.next("WorkerReady", worker_id=3)


async def test_the_death_of_the_zygote_is_the_death_of_its_workers_and_both_come_back(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host:
        family = host.family()
        worker = host.of("WorkerReady")[0]["pid"]
        (zygote,) = [process for process in family if process.pid != worker]
        zygote.kill()
        await gone(family)
        ready = await host.next("WorkerReady", worker_id=2)
        async with httpx.AsyncClient(base_url=host.url) as client:
            assert int((await client.get("/")).text) == ready["pid"]
        host.signal(signal.SIGTERM)
        assert await host.ended() == 0
