"""A module that cannot be run, a port that cannot be had."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from tests.e2e.host import running_host, started_host, worker_config
from tests.e2e.load import under_load

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

GOOD = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""

CANNOT_BOOT = [
    ("an exception", "raise LookupError('no such thing')\n", "LookupError", "no such thing"),
    ("a syntax error", "def broken(:\n    pass\n", "SyntaxError", ""),
    ("a missing module", "import no_such_module_here\n", "ModuleNotFoundError", "no_such_module_here"),
    ("no handler", "x = 1\n", "", ""),
    ("sys.exit", "import sys\nsys.exit('enough')\n", "SystemExit", "enough"),
]


@pytest.mark.parametrize(
    ("source", "kind", "words"), [case[1:] for case in CANNOT_BOOT], ids=[c[0] for c in CANNOT_BOOT]
)
@pytest.mark.parametrize("workers", [1, 3])
async def test_serve_ends_with_3_and_says_why_once(
    tmp_path: Path, workers: int, source: str, kind: str, words: str
) -> None:
    async with started_host(worker_config(tmp_path, source), workers=workers) as host:
        assert await host.ended() == 3
        (failure,) = host.of("BootFailure")
        assert failure["report"]["type"].endswith(kind)
        assert words in failure["report"]["message"]
        assert not failure["is_reload"]
        assert await host.errors() == "", "the report is an event and not also a traceback on stderr"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os\nos._exit(7)\n", "worker 1 ended with exit code 7 before it was ready"),
        ("import os\nos.kill(os.getpid(), 9)\n", "worker 1 was ended by signal 9 before it was ready"),
    ],
)
async def test_a_worker_that_vanishes_while_it_boots_is_a_boot_failure(tmp_path: Path, source: str, words: str) -> None:
    async with started_host(worker_config(tmp_path, source)) as host:
        assert await host.ended() == 3
        (failure,) = host.of("BootFailure")
        assert failure["report"]["message"] == words


async def test_a_worker_that_never_becomes_ready_is_a_boot_failure(tmp_path: Path) -> None:
    config = worker_config(tmp_path, "import time\ntime.sleep(1000)\n")
    async with started_host(config, boot_timeout_s=4.0) as host:
        assert await host.ended() == 3
        (failure,) = host.of("BootFailure")
        assert "worker 1 was not ready within 4 s" in failure["report"]["message"]
        (frame,) = failure["report"]["frames"]
        assert (frame["file"], frame["line"]) == (config.main, 2), "the user sees what the module waits for"
        assert not [event for event in host.of("WorkerExited") if not event["was_expected"]]


async def test_dev_shows_the_failure_until_it_is_mended(tmp_path: Path) -> None:
    config = worker_config(tmp_path, "raise LookupError('no such thing')\n", watch=(str(tmp_path),))
    async with running_host(config, is_dev=True, watch=True) as host:
        await host.next("WorkerReady", is_broken=True)
        async with httpx.AsyncClient(base_url=host.url) as client:
            plain = await client.get("/")
            assert plain.status_code == 500
            assert plain.headers["content-type"].startswith("text/plain")
            assert "LookupError: no such thing" in plain.text
            assert "entry.py" in plain.text
            page = await client.post("/some/form", headers={"accept": "text/html"}, content=b"x" * 100_000)
            assert page.status_code == 500
            assert page.headers["content-type"].startswith("text/html")
            assert "no such thing" in page.text
            worker_config(tmp_path, GOOD)
            while (answer := await client.get("/")).status_code == 500:
                await asyncio.sleep(0.005)
            assert answer.text == "hello"
        assert len(host.of("BootFailure")) == 1


async def test_dev_shows_the_failure_of_a_reload_on_the_same_connection(tmp_path: Path) -> None:
    config = worker_config(tmp_path, GOOD, watch=(str(tmp_path),))
    async with running_host(config, is_dev=True, watch=True) as host, httpx.AsyncClient(base_url=host.url) as client:
        for _ in range(3):
            worker_config(tmp_path, GOOD + "\nraise LookupError('no such thing')\n")
            while (await client.get("/")).status_code == 200:
                await asyncio.sleep(0.005)
            worker_config(tmp_path, GOOD)
            while (await client.get("/")).status_code == 500:
                await asyncio.sleep(0.005)
        assert len(host.of("BootFailure")) == 3


async def test_serve_keeps_the_old_code_when_a_reload_fails(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, GOOD), workers=2) as host, under_load(host.port) as load:
        await load.wait_for_answers(50)
        worker_config(tmp_path, "raise LookupError('no such thing')\n")
        host.signal(signal.SIGHUP)
        failure = await host.next("BootFailure")
        assert failure["is_reload"]
        await load.wait_for_answers(50)
        assert load.failures == []
        assert load.bodies == {b"hello"}


async def test_a_taken_port_ends_with_78_and_names_the_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with started_host(worker_config(tmp_path, GOOD), port=port) as host:
            assert await host.ended() == 78
            (failure,) = host.of("HostFailed")
            assert f"port {port} of 'localhost' is taken by " in failure["message"]
            assert f"(process {os.getpid()})" in failure["message"]


async def test_dev_takes_the_next_free_port_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = worker_config(tmp_path, GOOD)
        async with running_host(config, port=port, port_is_fixed=False, is_dev=True) as host:
            (event,) = host.of("PortTaken")
            assert event["wanted"] == port
            assert event["port"] == host.port != port
            async with httpx.AsyncClient(base_url=host.url) as client:
                assert (await client.get("/")).text == "hello"


async def test_a_changed_configuration_is_used_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    source = """
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response(self.env.GREETING)
    """
    file = tmp_path / "longshore.toml"
    file.write_text("")
    config_json = tmp_path / "loaded"
    folders = {"watch": (str(tmp_path),), "file": str(file)}
    config = worker_config(tmp_path, source, vars={"GREETING": "hello"}, **folders)
    options = {"is_dev": True, "watch": True, "config_json": str(config_json)}
    async with running_host(config, **options) as host, httpx.AsyncClient(base_url=host.url) as client:
        assert (await client.get("/")).text == "hello"
        config_json.write_bytes(b"not JSON")
        file.write_text("# changed\n")
        await host.next("ConfigRejected")
        assert (await client.get("/")).text == "hello"
        config_json.write_bytes(
            msgspec.json.encode(worker_config(tmp_path, source, vars={"GREETING": "howdy"}, **folders))
        )
        file.write_text("# changed again\n")
        await host.next("ConfigReloaded")
        while (await client.get("/")).text != "howdy":
            await asyncio.sleep(0.005)
