"""Reloads of a real host under real load: nothing is lost, nothing leaks, new code answers."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.host import running_host, worker_config
from tests.e2e.load import under_load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.host import Host

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

VERSION = """
import asyncio
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await asyncio.sleep(0.002)
        return Response("version {}")
"""


def version(number: int) -> str:
    """Return the code of a version; each has another length, which is how Python knows byte code of the same second."""
    return VERSION.format(number) + "#" * number


async def until_answer(client: httpx.AsyncClient, text: str) -> httpx.Response:
    """Ask until the answer contains a text; the test's time limit bounds it."""
    while text not in (response := await client.get("/")).text:
        await asyncio.sleep(0.005)
    return response


@pytest.mark.parametrize("workers", [1, 2])
async def test_reloads_under_load_lose_no_request(tmp_path: Path, workers: int) -> None:
    config = worker_config(tmp_path, version(0))
    async with running_host(config, workers=workers) as host:
        async with under_load(host.port) as load:
            for number in range(1, 9):
                worker_config(tmp_path, version(number))
                await load.wait_for_answers(100)
                host.signal(signal.SIGHUP)
                await host.next("Reloaded")
                await load.wait_for_answers(100)
        assert load.failures == []
        assert load.bodies == {f"version {number}".encode() for number in range(9)}
        assert load.retried == 0, "idle connections are handed over, not closed"


async def test_after_a_reload_the_old_code_does_not_answer_any_more(tmp_path: Path) -> None:
    config = worker_config(tmp_path, version(1))
    async with running_host(config) as host, httpx.AsyncClient(base_url=host.url) as client:
        assert (await client.get("/")).text == "version 1"
        worker_config(tmp_path, version(2))
        await host.command("reload")
        await host.next("WorkerExited", was_expected=True)
        assert [(await client.get("/")).text for _ in range(10)] == ["version 2"] * 10


@pytest.mark.parametrize("is_atomic", [False, True])
async def test_a_saved_file_answers_without_being_asked(tmp_path: Path, is_atomic: bool) -> None:
    config = worker_config(tmp_path, VERSION.format("a"), watch=(str(tmp_path),))
    async with running_host(config, is_dev=True, watch=True) as host, httpx.AsyncClient(base_url=host.url) as client:
        await until_answer(client, "version a")
        # Same length, same second: byte code of the old one must not be taken for the new one's.
        for version in "bcd":
            target = tmp_path / ("entry.py.tmp" if is_atomic else "entry.py")
            target.write_text(VERSION.format(version))
            target.replace(tmp_path / "entry.py")
            await until_answer(client, f"version {version}")
            assert (await host.next("ReloadStarted"))["paths"] == [str(tmp_path / "entry.py")]


async def test_an_imported_module_that_is_saved_answers_too(tmp_path: Path) -> None:
    (tmp_path / "greeting.py").write_text("TEXT = 'hello'\n")
    source = """
    from greeting import TEXT
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response(TEXT)
    """
    config = worker_config(tmp_path, source, watch=(str(tmp_path),))
    async with running_host(config, is_dev=True, watch=True) as host, httpx.AsyncClient(base_url=host.url) as client:
        await until_answer(client, "hello")
        (tmp_path / "greeting.py").write_text("TEXT = 'howdy'\n")
        await until_answer(client, "howdy")


async def test_a_request_in_flight_outlives_the_reload(tmp_path: Path) -> None:
    source = """
    import asyncio
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.path == "/slow":
                print("begun", flush=True)
                while not {gate!r}.exists():
                    await asyncio.sleep(0.01)
            return Response("version {version}")
    """
    gate = tmp_path / "gate"
    texts = [
        f"from pathlib import Path, PosixPath\n{_dedent(source).format(gate=gate, version=n)}{'#' * n}" for n in (1, 2)
    ]
    async with running_host(worker_config(tmp_path, texts[0])) as host, httpx.AsyncClient(base_url=host.url) as client:
        slow = asyncio.create_task(client.get("/slow", timeout=60))
        await host.next("output", text="begun\n")
        worker_config(tmp_path, texts[1])
        await host.command("reload")
        await host.next("Reloaded")
        await until_answer(client, "version 2")  # the old worker may accept for a moment more
        assert not slow.done()
        gate.touch()
        assert (await slow).text == "version 1"
        await host.next("WorkerExited", was_expected=True, code=0)


async def test_twenty_reloads_leave_no_descriptor_and_no_process(tmp_path: Path) -> None:
    config = worker_config(tmp_path, version(0))
    async with running_host(config, workers=2) as host, httpx.AsyncClient(base_url=host.url) as client:
        await reload_once(host, client)
        before, family = open_files(host), len(host.family())
        for _ in range(20):
            await reload_once(host, client)
        assert open_files(host) <= before
        assert len(host.family()) == family == 2 + 2 * host.worker_family(), "zygote, egress process and two workers"


async def reload_once(host: Host, client: httpx.AsyncClient) -> None:
    """Reload with an idle connection, and wait until the old workers are gone."""
    await client.get("/")
    await host.command("reload")
    await host.next("Reloaded")
    ended = {(await host.next("WorkerExited"))["worker_id"] for _ in range(2)}
    assert len(ended) == 2


def open_files(host: Host) -> int:
    return len(os.listdir(f"/proc/{host.pid}/fd"))


def _dedent(source: str) -> str:
    return "\n".join(line[4:] for line in source.splitlines())
