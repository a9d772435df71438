"""The audit log of a whole host: one worker that uses ``connect()``, a plain socket, and what it may not."""

from __future__ import annotations

import json
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.launched import LIMIT_S, launched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a driver's connections are seen by means of Linux")

ENTRY = """\
import socket

from longshore import connect
from workers import Response, WorkerEntrypoint

PORT = {port}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/connect":
            async with connect(("127.0.0.1", PORT)) as peer:
                await peer.writable.write(b"hello")
        elif request.path == "/socket":
            with socket.create_connection(("127.0.0.1", PORT)) as peer:
                peer.sendall(b"hello, world")
        elif request.path == "/denied":
            try:
                socket.create_connection(("192.168.7.7", 81))
            except PermissionError:
                return Response("denied\\n")
        return Response("done\\n")
"""


def records(path: Path) -> list[dict[str, Any]]:
    """Return what is in the log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def wait_for(path: Path, **wanted: Any) -> dict[str, Any]:
    """Wait until the log has a record with these fields; the test's own time limit ends it otherwise."""
    while True:
        for record in records(path):
            if all(record.get(key) == value for key, value in wanted.items()):
                return record


def test_every_connection_of_a_worker_is_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "var" / "audit.jsonl"
    log.parent.mkdir()
    project = tmp_path / "shop"
    project.mkdir()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        port = server.getsockname()[1]
        config = f'name = "shop"\nmain = "entry.py"\n[network]\nallow = ["local"]\n[serve]\naudit_log = "{log}"\n'
        (project / "longshore.toml").write_text(config)
        (project / "entry.py").write_text(ENTRY.format(port=port))
        with launched("serve", "--port", "0", cwd=project) as running, httpx.Client(timeout=LIMIT_S) as client:
            url = running.wait_for(r"ready on (\S+)")[1]
            assert client.get(f"{url}/connect").text == "done\n"
            mine = wait_for(log, event="close", via="connect()")
            assert client.get(f"{url}/socket").text == "done\n"
            drivers = wait_for(log, event="close", via="socket")
            assert client.get(f"{url}/denied").text == "denied\n"
            denied = wait_for(log, event="deny")
            running.wait_for(
                r'To allow it, write in \[network\] of longshore\.toml:  allow = \["local", "192\.168\.7\.7:81"\]'
            )
            running.process.send_signal(signal.SIGTERM)
            assert running.ended() == 0
    assert (mine["bytes_sent"], mine["bytes_received"], mine["rule"]) == (5, 0, "local")
    assert mine["request_id"]
    assert (drivers["bytes_sent"], drivers["bytes_received"], drivers["rule"]) == (12, 0, "local")
    assert (denied["name"], denied["port"], denied["outcome"]) == ("192.168.7.7", 81, "blocked by policy")
    assert {each["worker"] for each in records(log)} == {"shop"}
