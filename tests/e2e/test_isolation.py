"""What a worker of a real host can reach, see and use up; needs the layers of the sandbox."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from longshore.config.model import NetworkRules, SandboxSettings, ServeSettings
from longshore.sandbox.kernel import is_supported
from tests.e2e.host import running_host, worker_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.one_loop("asyncio"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(not is_supported(), reason="the sandbox needs Linux on x86-64 or aarch64"),
]

REQUIRED = SandboxSettings(isolation="required")

WORKER = """
import asyncio, errno, os, socket
from workers import WorkerEntrypoint, Response

def driver(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=10) as sock:
            return sock.recv(100).decode()
    except OSError as exc:
        return errno.errorcode.get(exc.errno, repr(exc))

def text_of(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError as exc:
        return errno.errorcode[exc.errno]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        asked = await request.json()
        if "port" in asked:
            return Response(await asyncio.to_thread(driver, asked["port"]))
        if "path" in asked:
            return Response(text_of(asked["path"]))
        return Response.json({"environment": dict(os.environ), "pid": os.getpid(), "pids": os.listdir("/proc")})
"""


@asynccontextmanager
async def greeting() -> AsyncIterator[int]:
    """Give the port of a server of the host that greets."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"greetings")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def ask(url: str, **what: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url) as client:
        return await client.post("/", json=what, timeout=60)


async def test_a_driver_connects_where_a_rule_allows_it_and_nowhere_else(tmp_path: Path) -> None:
    async with greeting() as allowed, greeting() as denied:
        rules = NetworkRules(allow=(f"127.0.0.1:{allowed}",))
        config = worker_config(tmp_path, WORKER, network=rules, sandbox=REQUIRED)
        async with running_host(config) as host:
            assert (await ask(host.url, port=allowed)).text == "greetings"
            assert (await ask(host.url, port=denied)).text == "EACCES"
            event = await host.next("Audited")
            while event["record"]["event"] != "deny":
                event = await host.next("Audited")
            record = event["record"]
            assert (record["via"], record["address"]) == ("socket", f"127.0.0.1:{denied}")
            assert str(allowed) in record["rule"]


async def test_a_worker_that_connects_to_itself_is_stopped(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, WORKER, sandbox=REQUIRED)) as host:
        assert (await ask(host.url, port=host.port)).text == "ELOOP"


async def test_what_is_secret_is_not_to_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in (".dev.vars", ".dev.vars.production", ".env", ".env.local", "longshore.toml", "audit.jsonl"):
        (project / name).write_text("s3cret")
    (project / "data.txt").write_text("data")
    (tmp_path / "neighbour.txt").write_text("s3cret")
    store = tmp_path / "project" / "store"
    store.mkdir(mode=0o700)
    (store / "key").write_text("s3cret")
    monkeypatch.setenv("LONGSHORE_STORE", str(store))
    monkeypatch.setenv("PASSWORD", "s3cret")
    config = worker_config(
        project,
        WORKER,
        sandbox=REQUIRED,
        file=str(project / "longshore.toml"),
        serve=ServeSettings(audit_log=str(project / "audit.jsonl")),
    )
    async with running_host(config) as host:
        assert (await ask(host.url, path=str(project / "data.txt"))).text == "data"
        hidden = [project / name for name in (".dev.vars", ".dev.vars.production", ".env", ".env.local")]
        for path in (*hidden, project / "longshore.toml", project / "audit.jsonl", store / "key"):
            assert (await ask(host.url, path=str(path))).text in {"", "ENOENT", "EACCES"}, path
        assert (await ask(host.url, path=str(tmp_path / "neighbour.txt"))).text == "ENOENT"
        assert "s3cret" not in (await ask(host.url, path="/proc/self/environ")).text
        seen = (await ask(host.url)).json()
        assert not {"PASSWORD", "LONGSHORE_STORE"} & seen["environment"].keys()
        assert {int(name) for name in seen["pids"] if name.isdecimal()} == {1, seen["pid"]}


async def test_a_reload_can_turn_isolation_off_and_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "s3cret")
    config = worker_config(tmp_path, WORKER, sandbox=REQUIRED)
    file = tmp_path / "config.json"
    async with running_host(config, config_json=str(file)) as host:
        for isolation, is_there in (("off", True), ("required", False)):
            sandbox = SandboxSettings(isolation=isolation)
            file.write_bytes(json_of(worker_config(tmp_path, WORKER, sandbox=sandbox)))
            host.signal(signal.SIGHUP)
            await host.next("Enclosed", isolation=isolation)
            await host.next("Reloaded")
            await host.next("WorkerExited")
            assert ("PASSWORD" in (await ask(host.url)).json()["environment"]) is is_there


async def test_sighup_opens_the_audit_log_anew(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    async with greeting() as port:
        config = worker_config(tmp_path, WORKER, sandbox=REQUIRED, serve=ServeSettings(audit_log=str(log)))
        async with running_host(config) as host:
            await ask(host.url, port=port)
            await host.next("Audited")
            moved = log.rename(tmp_path / "audit.1.jsonl")
            host.signal(signal.SIGHUP)
            await host.next("Reloaded")
            await ask(host.url, port=port)
            await host.next("Audited")
            while not log.exists() or not log.read_text():
                await asyncio.sleep(0.005)
    assert {json.loads(line)["event"] for line in moved.read_text().splitlines()} <= {"open", "close"}
    assert json.loads(log.read_text().splitlines()[0])["worker"] == "test"


async def test_memory_is_bounded(tmp_path: Path) -> None:
    source = """
    from workers import WorkerEntrypoint, Response

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            try:
                hoard = [bytes(16 * 1024 * 1024) for _ in range(64)]
            except MemoryError:
                return Response("MemoryError")
            return Response(str(len(hoard)))
    """
    sandbox = SandboxSettings(isolation="required", memory_bytes=256 * 1024 * 1024)
    async with running_host(worker_config(tmp_path, source, sandbox=sandbox)) as host:
        try:
            assert (await ask(host.url)).text == "MemoryError"
        except httpx.RemoteProtocolError:  # with a control group of memory, the kernel ends it
            assert (await host.next("WorkerExited"))["code"] == -signal.SIGKILL


def json_of(config: object) -> bytes:
    return msgspec.json.encode(config)
