"""Processes that die while they serve."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.e2e.host import EGRESS, ZYGOTE, gone, is_alive, running_host, worker_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.host import Host

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

WORKER = """
import os
from workers import WorkerEntrypoint, Response

TOKEN = os.urandom(8).hex()  # every process has another one; its number is only known outside of the jail

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/exit":
            os._exit(9)
        return Response(TOKEN)
"""


async def token(host: Host) -> str:
    async with httpx.AsyncClient(base_url=host.url) as client:
        return (await client.get("/")).text


async def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host:
        pid, first = host.of("WorkerReady")[0]["pid"], await token(host)
        psutil.Process(pid).kill()
        exited = await host.next("WorkerExited")
        assert (exited["code"], exited["was_expected"]) == (-signal.SIGKILL, False)
        assert await host.next("RestartScheduled") == {"event": "RestartScheduled", "in_s": 0.0, "crashes": 1}
        assert (await host.next("WorkerReady", worker_id=2))["pid"] != pid
        assert await token(host) != first


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
        first, zygote, egress = await token(host), host.relative(ZYGOTE), host.relative(EGRESS)
        family = [zygote, *zygote.children(recursive=True)]
        assert len(family) == 1 + host.worker_family()
        zygote.kill()
        await gone(family)
        await host.next("WorkerReady", worker_id=2)
        assert await token(host) != first
        assert is_alive(egress)
        host.signal(signal.SIGTERM)
        assert await host.ended() == 0


async def test_the_death_of_the_egress_process_replaces_the_workers_too(tmp_path: Path) -> None:
    source = f"""
    from workers import fetch
    {WORKER.replace(chr(10), chr(10) + "    ")}
    class Default(Default):
        async def fetch(self, request):
            if request.path == "/":
                return Response(TOKEN)
            return await fetch(request.headers["x-url"])
    """
    async with answering() as url, running_host(worker_config(tmp_path, source)) as host:
        first, zygote, egress = await token(host), host.relative(ZYGOTE), host.relative(EGRESS)
        egress.kill()
        await host.next("EgressLost")
        await host.next("WorkerReady", worker_id=2)
        assert await token(host) != first
        assert is_alive(zygote)
        assert host.relative(EGRESS) != egress
        async with httpx.AsyncClient(base_url=host.url) as client:
            assert (await client.get("/fetch", headers={"x-url": url})).text == "from outside"
        host.signal(signal.SIGTERM)
        assert await host.ended() == 0


@asynccontextmanager
async def answering() -> AsyncIterator[str]:
    """Give the address of a server that gives every request the same answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\nfrom outside")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
