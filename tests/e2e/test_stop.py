"""How a real host ends: in order, in a hurry, and by force; nothing is left running."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.e2e.host import gone, running_host, started_host, worker_config
from tests.e2e.load import under_load

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

WORKER = """
import asyncio
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/forever":
            print("begun", flush=True)
            await asyncio.sleep(1000)
        await asyncio.sleep(0.005)
        return Response("hello")
"""


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_under_load_loses_no_request(tmp_path: Path, workers: int) -> None:
    async with running_host(worker_config(tmp_path, WORKER), workers=workers) as host:
        async with under_load(host.port) as load:
            await load.wait_for_answers(500)
            host.signal(signal.SIGTERM)
            assert await host.ended() == 0
        assert load.failures == []
        assert load.refused == 30, "every client ended because the port is closed"
        assert host.events[-2] == {"event": "Stopped", "code": 0}
        assert await host.errors() == ""


async def test_connections_that_wait_to_be_accepted_are_served(tmp_path: Path) -> None:
    """A worker that is busy accepts nothing; what lies in the queue when SIGTERM comes is served all the same."""
    source = """
    import time
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.path == "/block":
                print("blocked", flush=True)
                time.sleep(1)
            return Response("hello")
    """
    async with running_host(worker_config(tmp_path, source)) as host, httpx.AsyncClient(base_url=host.url) as client:
        blocking = asyncio.create_task(client.get("/block"))
        await host.next("output", text="blocked\n")
        with socket.create_connection(("127.0.0.1", host.port)) as waiting:
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            host.signal(signal.SIGTERM)
            await host.next("Draining")
            waiting.setblocking(False)
            answer = await asyncio.get_running_loop().sock_recv(waiting, 65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
        assert (await blocking).text == "hello"
        assert await host.ended() == 0


async def test_the_port_is_refused_while_a_request_in_flight_is_finished(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host, httpx.AsyncClient(base_url=host.url) as client:
        slow = asyncio.create_task(client.get("/forever", timeout=60))
        await host.next("output", text="begun\n")
        host.signal(signal.SIGTERM)
        await host.next("Draining")
        while True:  # a connection that begins while the port is being closed may wait for a second
            try:
                await asyncio.get_running_loop().run_in_executor(
                    None, lambda: socket.create_connection(("127.0.0.1", host.port)).close()
                )
            except ConnectionRefusedError:
                break
        assert not slow.done()
        host.signal(signal.SIGTERM)
        await asyncio.wait([slow])
        assert await host.ended() == 0
        assert slow.exception() is not None or slow.result().status_code >= 500


async def test_the_second_sigterm_does_not_wait_for_requests(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host, httpx.AsyncClient(base_url=host.url) as client:
        slow = asyncio.create_task(client.get("/forever", timeout=60))
        await host.next("output", text="begun\n")
        host.signal(signal.SIGTERM)
        await host.next("Draining", is_hurried=False)
        host.signal(signal.SIGTERM)
        await host.next("Draining", is_hurried=True)
        assert await host.ended() == 0
        await asyncio.wait([slow])
        assert slow.exception() is not None or slow.result().status_code >= 500


async def test_the_second_sigterm_ends_a_worker_that_is_stuck(tmp_path: Path) -> None:
    source = """
    import time
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            print("stuck", flush=True)
            time.sleep(1000)
    """
    async with running_host(worker_config(tmp_path, source)) as host, httpx.AsyncClient(base_url=host.url) as client:
        slow = asyncio.create_task(client.get("/", timeout=60))
        await host.next("output", text="stuck\n")
        host.signal(signal.SIGTERM)
        await host.next("Draining", is_hurried=False)
        host.signal(signal.SIGTERM)
        assert await host.ended() == 0
        assert host.of("WorkerExited")[-1]["code"] == -signal.SIGKILL
        with pytest.raises(httpx.TransportError):
            await slow


async def test_requests_are_cancelled_when_the_drain_has_lasted_long_enough(tmp_path: Path) -> None:
    config = worker_config(tmp_path, WORKER)
    async with running_host(config, drain_timeout_s=0.2) as host, httpx.AsyncClient(base_url=host.url) as client:
        slow = asyncio.create_task(client.get("/forever", timeout=60))
        await host.next("output", text="begun\n")
        host.signal(signal.SIGTERM)
        assert (await host.message("Drained"))["cancelled_requests"] == 1
        assert await host.ended() == 0
        await asyncio.wait([slow])
        assert slow.exception() is not None or slow.result().status_code >= 500


async def test_sigint_is_the_same_as_sigterm(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER)) as host:
        host.signal(signal.SIGINT)
        assert await host.ended() == 0
        assert await host.errors() == ""


async def test_sigint_of_a_terminal_reaches_the_host_alone(tmp_path: Path) -> None:
    """Ctrl-C goes to every process of the foreground group."""
    async with running_host(worker_config(tmp_path, WORKER), start_new_session=True) as host:
        slow_down = httpx.AsyncClient(base_url=host.url)
        async with slow_down:
            requests = [asyncio.create_task(slow_down.get("/")) for _ in range(20)]
            await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
            os.killpg(os.getpgid(host.pid), signal.SIGINT)
            assert {(await request).text for request in requests} == {"hello"}
        assert await host.ended() == 0
        assert await host.errors() == ""


async def test_sigterm_to_every_process_at_once_loses_nothing(tmp_path: Path) -> None:
    """What systemd does with a service."""
    async with running_host(worker_config(tmp_path, WORKER), workers=2) as host:
        async with under_load(host.port) as load:
            await load.wait_for_answers(200)
            for process in [*host.family(), psutil.Process(host.pid)]:
                process.terminate()
            assert await host.ended() == 0
        assert load.failures == []


@pytest.mark.parametrize("is_busy", [False, True])
async def test_nothing_is_left_when_the_host_is_killed(tmp_path: Path, is_busy: bool) -> None:
    source = """
    import subprocess, time
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            subprocess.Popen(["sleep", "1000"])
            print("begun", flush=True)
            time.sleep(1000)
    """
    config = worker_config(tmp_path, source)
    async with running_host(config, workers=2) as host, httpx.AsyncClient(base_url=host.url) as client:
        tasks = [asyncio.create_task(client.get("/", timeout=60))] if is_busy else []
        if is_busy:
            await host.next("output", text="begun\n")
        family = host.family()
        expected = 2 + 2 * host.worker_family() + is_busy
        assert len(family) == expected, "zygote, egress process, two workers, and what one of them started"
        host.signal(signal.SIGKILL)
        await gone(family)
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_sigterm_while_the_worker_boots(tmp_path: Path) -> None:
    source = "print('booting', flush=True)\nimport time\ntime.sleep(1000)\n"
    async with started_host(worker_config(tmp_path, source)) as host:
        await host.next("output", text="booting\n")
        host.signal(signal.SIGTERM)
        assert await host.ended() == 0
        assert host.of("BootFailure") == []


async def test_sigterm_during_a_reload_keeps_no_client_waiting(tmp_path: Path) -> None:
    """The replaced worker has nobody to hand its connections to any more, and closes them."""
    gate = tmp_path / "gate"
    source = f"""
    import asyncio
    from pathlib import Path
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            print("begun", flush=True)
            while not Path({str(gate)!r}).exists():
                await asyncio.sleep(0.01)
            return Response("hello")
    """
    async with running_host(worker_config(tmp_path, source)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        await host.next("output", text="begun\n")
        await host.command("reload")
        await host.next("Reloaded")
        host.signal(signal.SIGTERM)
        await host.next("Draining")
        await asyncio.to_thread(gate.touch)
        answer = await reader.read()  # to the end of the connection
        assert answer.endswith(b"hello")
        writer.close()
        assert await host.ended() == 0
