"""Each process of a host is killed, at various moments: nothing is left, nothing hangs, and what can recovers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from longshore.sandbox.kernel import prctl
from tests.e2e.host import EGRESS, ZYGOTE, gone, started_host, worker_config
from tests.egress.linux import needs_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from tests.e2e.host import Host

    Census: TypeAlias = Callable[[], list[psutil.Process]]

pytestmark = [needs_sandbox, pytest.mark.one_loop("asyncio"), pytest.mark.timeout(120)]

PR_SET_CHILD_SUBREAPER = 36

WORKER = """
import os, socket, subprocess, threading
from workers import WorkerEntrypoint, Response

{at_boot}

def hang(port):
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", port))

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path.startswith("/busy/"):
            threading.Thread(target=hang, args=[int(request.path[6:])], daemon=True).start()
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
            if os.fork() == 0:
                os.setsid()
                print("busy", flush=True)
                while True:
                    pass
        return Response("hello")
"""


@pytest.fixture
def census() -> Iterator[Callable[[], list[psutil.Process]]]:
    """Return what tells all processes that came of this test, whoever their parent was.

    Every orphan becomes a child of this process for that, and is reaped in the end.
    """
    before = set(psutil.Process().children(recursive=True))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield lambda: [each for each in psutil.Process().children(recursive=True) if each not in before]
    prctl(PR_SET_CHILD_SUBREAPER, 0)
    for each in psutil.Process().children():
        if each not in before:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each.pid, os.WNOHANG)


def source(at_boot: str = "") -> str:
    return WORKER.format(at_boot=at_boot)


def full_listener() -> tuple[socket.socket, list[socket.socket]]:
    """Return a listener that answers no more connections, and what keeps it full."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(3)]
    for each in fillers:
        each.setblocking(False)
        each.connect_ex(listener.getsockname())
    return listener, fillers


def victim(host: Host, name: str) -> psutil.Process:
    match name:
        case "host":
            return psutil.Process(host.pid)
        case "zygote":
            return host.relative(ZYGOTE)
        case "egress":
            return host.relative(EGRESS)
        case "worker":
            return psutil.Process(host.of("WorkerReady")[-1]["pid"])
        case _:
            return psutil.Process(host.of("WorkerReady")[-1]["pid"]).parent() or pytest.fail("no first process")


MOMENTS = ["starting", "booting", "idle", "busy"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_host(tmp_path: Path, census: Census, moment: str) -> None:
    at_boot = "print('booting', flush=True); import time; time.sleep(1000)" if moment == "booting" else ""
    async with started_host(worker_config(tmp_path, source(at_boot))) as host:
        await reached(host, moment)
        everybody = census()
        victim(host, "host").kill()
        await gone(everybody)
        await host.ended()
        await gone(census())


@pytest.mark.parametrize("name", ["zygote", "egress", "worker", "init"])
@pytest.mark.parametrize("moment", ["idle", "busy"])
async def test_another_process(tmp_path: Path, census: Census, name: str, moment: str) -> None:
    """The host lives on, replaces what went with it, and leaves nothing when it ends."""
    async with started_host(worker_config(tmp_path, source())) as host:
        await reached(host, moment)
        target = victim(host, name)
        doomed = [each for each in census() if each.pid != host.pid and not is_kept(host, each, name)]
        assert target in doomed
        target.kill()
        await gone(doomed)
        async with httpx.AsyncClient(base_url=host.url) as client:
            assert (await client.get("/", timeout=60)).text == "hello"
        host.signal(signal.SIGTERM)
        assert await host.ended() == 0
        await gone(census())


@pytest.mark.parametrize("name", ["zygote", "egress"])
async def test_a_helper_that_dies_at_the_start(tmp_path: Path, census: Census, name: str) -> None:
    """Whatever the host makes of it, it does not hang, and leaves nothing."""
    async with started_host(worker_config(tmp_path, source())) as host:
        await host.next("Listening")
        module = {"zygote": ZYGOTE, "egress": EGRESS}[name]
        while not (found := [each for each in host.family() if module in command_of(each)]):
            await asyncio.sleep(0.002)
        found[0].kill()
        while not host.of("WorkerReady", "HostFailed"):
            await host.next_any()
        if host.of("WorkerReady"):
            host.signal(signal.SIGTERM)
        await host.ended()
        await gone(census())


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_kept(host: Host, process: psutil.Process, killed: str) -> bool:
    """Return whether a process outlives the one that is killed: the workers die with each of them."""
    kept = {"zygote": (EGRESS,), "egress": (ZYGOTE,)}.get(killed, (EGRESS, ZYGOTE))
    return process in [host.relative(module) for module in kept]


async def reached(host: Host, moment: str) -> None:
    """Wait for a moment in the life of a host."""
    if moment == "starting":
        await host.next("Listening")
    elif moment == "booting":
        await host.next("output", text="booting\n")
    else:
        while not host.of("WorkerReady"):
            await host.next_any()
    if moment == "busy":
        listener, fillers = full_listener()
        with listener, contextlib.ExitStack() as stack:
            for each in fillers:
                stack.enter_context(each)
            async with httpx.AsyncClient(base_url=host.url) as client:
                assert (await client.get(f"/busy/{listener.getsockname()[1]}", timeout=60)).text == "hello"
            await host.next("output", text="busy\n")
