"""``longshore serve``: its log for people and for machines, its options, its end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from longshore.cli.levels import LEVELS
from longshore.cli.serve import LogSink
from tests.cli import samples
from tests.cli.launched import LIMIT_S, environment, launched, run_longshore
from tests.server_process import free_port

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = """\
import logging

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/boom":
            raise LookupError("no such customer")
        logging.getLogger("shop").warning("asked for %s", request.path)
        return Response("hello\\n")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A worker that logs and raises."""
    (tmp_path / "longshore.toml").write_text('name = "shop"\nmain = "entry.py"\n')
    (tmp_path / "entry.py").write_text(ENTRY)
    return tmp_path


def get(url: str) -> int:
    """Return the status of an answer."""
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        return client.get(url).status_code


def test_the_log_for_machines_is_one_object_a_line(project: Path) -> None:
    with launched("serve", "--port", "0", "--log", "json", cwd=project) as running:
        url = json.loads(running.wait_for('"event":"listening"').string)["urls"][0]
        running.wait_for('"event":"worker_ready"')
        assert get(f"{url}/a?b=c") == 200
        running.wait_for('"event":"request"')
        assert get(f"{url}/boom") == 500
        running.wait_for('"event":"request"')
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    found: list[dict[str, Any]] = [json.loads(line) for line in running.seen]
    assert all({"time", "level", "event"} <= set(each) for each in found)
    by_event = {each["event"]: each for each in found}
    assert by_event["log"]["message"] == "asked for /a"
    assert by_event["log"]["logger"] == "shop"
    assert by_event["handler_failed"]["error"]["type"] == "LookupError"
    assert by_event["stopped"]["code"] == 0
    requests = [each for each in found if each["event"] == "request"]
    assert [(each["method"], each["path"], each["status"]) for each in requests] == [
        ("GET", "/a?b=c", 200),
        ("GET", "/boom", 500),
    ]
    assert by_event["log"]["request_id"] == requests[0]["request_id"]
    assert by_event["log"]["worker"] == requests[0]["worker"] == 1


def test_the_log_for_people_is_a_line_an_event(project: Path) -> None:
    with launched("serve", "--port", "0", cwd=project) as running:
        running.wait_for(r"INFO    worker 1  ready after \S+: process \d+, \w+, handlers: fetch")
        url = running.wait_for(r"INFO    host      ready on (\S+)$")[1]
        assert get(f"{url}/a") == 200
        running.wait_for(r"WARNING worker 1  shop: asked for /a #\d+$")
        running.wait_for(r"INFO    worker 1  GET /a 200 OK \(\S+ms\) #\d+$")
        assert get(f"{url}/boom") == 500
        running.wait_for("ERROR   worker 1  fetch failed: GET /boom")
        running.wait_for("^    Traceback")
        running.wait_for("^    LookupError: no such customer")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("draining")
        assert running.ended() == 0
    assert "stopped with 0" in running.seen[-1]
    assert " DEBUG " not in running.text
    assert running.text.count(url) == 2, "when the port was opened, and when somebody answers"


@pytest.mark.parametrize("level", LEVELS)
def test_what_matters_less_than_the_level_is_not_logged(level: str) -> None:
    stream = io.StringIO()
    sink = LogSink(stream, is_json=True, level=level)
    for event in samples.ALL:
        sink(event)
    found = {json.loads(line)["level"] for line in stream.getvalue().splitlines()}
    assert found == set(LEVELS[LEVELS.index(level) :])


def test_the_log_for_debugging(project: Path) -> None:
    with launched("serve", "--port", "0", "--log-level", "debug", cwd=project) as running:
        running.wait_for("DEBUG   worker 1  starting")
        running.wait_for("ready on")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0


def test_several_processes(project: Path) -> None:
    with launched("serve", "--port", "0", "--workers", "2", cwd=project) as running:
        running.wait_for("worker 1  ready|worker 2  ready")
        running.wait_for("worker 1  ready|worker 2  ready")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0


def test_settings_of_the_file_and_of_the_environment_section(project: Path) -> None:
    config = 'name = "shop"\nmain = "entry.py"\n[env.eu.serve]\nport = 0\nlog_format = "json"\nlog_requests = false\n'
    (project / "longshore.toml").write_text(config)
    with launched("serve", "-e", "eu", cwd=project) as running:
        url = json.loads(running.wait_for('"event":"listening"').string)["urls"][0]
        assert get(url) == 200
        running.wait_for('"event":"log"')
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert '"event":"request"' not in running.text


def test_metrics_are_served_and_requests_are_counted_though_not_logged(project: Path) -> None:
    config = 'name = "shop"\nmain = "entry.py"\n[serve]\nlog_requests = false\n'
    (project / "longshore.toml").write_text(config)
    metrics = f"127.0.0.1:{free_port()}"
    with launched("serve", "--port", "0", "--metrics", metrics, cwd=project) as running:
        url = running.wait_for(r"ready on (\S+)")[1]
        assert get(url) == 200
        running.wait_for("asked for /")
        wanted = 'longshore_requests_total{method="GET",outcome="ok",status="200",worker="shop"} 1.0'
        with httpx.Client(trust_env=False, timeout=LIMIT_S) as client:
            while wanted not in client.get(f"http://{metrics}/metrics").text:  # the worker tells it a moment later
                pass
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert "GET /" not in running.text


def test_a_port_for_metrics_that_is_taken_is_said(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run_longshore("serve", "--port", "0", "--metrics", address, cwd=project)
    assert result.returncode == 1
    assert f"cannot serve metrics at {address}" in result.stderr


def test_sighup_reads_the_configuration_anew_and_keeps_the_old_one_when_it_is_wrong(project: Path) -> None:
    file = project / "longshore.toml"
    file.write_text('name = "shop"\nmain = "entry.py"\n[vars]\nCITY = "Huế"\n')
    (project / "entry.py").write_text(ENTRY.replace('"hello\\n"', "self.env.CITY"))
    with launched("serve", "--port", "0", cwd=project) as running, httpx.Client(trust_env=False) as client:
        url = running.wait_for(r"ready on (\S+)")[1]
        assert client.get(url).text == "Huế"
        file.write_text(file.read_text().replace("Huế", "Málaga"))
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("worker 2  ready")
        while client.get(url).text != "Málaga":  # the old worker may be asked until it has heard that it is to drain
            pass
        file.write_text("nmae = 1\n")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("nmae")
        assert client.get(url).text == "Málaga"
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0


def test_a_worker_that_cannot_be_run_ends_with_3_and_its_traceback(project: Path) -> None:
    (project / "entry.py").write_text("import nothing_of_that_name\n")
    done = run_longshore("serve", "--port", "0", cwd=project)
    assert done.returncode == 3
    assert done.stdout.count("No module named 'nothing_of_that_name'") == 1
    assert "entry.py" in done.stdout
    assert done.stderr == ""


def test_ctrl_c_prints_no_traceback(project: Path) -> None:
    with launched("serve", "--port", "0", cwd=project) as running:
        running.wait_for("worker 1  ready")
        running.process.send_signal(signal.SIGINT)
        assert running.ended() == 0
    assert "Traceback" not in running.text


def test_it_ends_with_the_terminal_that_it_was_started_in(project: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "longshore", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=project, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    try:
        os.close(theirs)
        shown = b""
        while b"ready after" not in shown:
            shown += os.read(ours, 4096)
        os.close(ours)
        process.send_signal(signal.SIGHUP)  # as the kernel does for a terminal that controls somebody
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.wait()


def test_it_ends_although_its_log_is_full(project: Path) -> None:
    """A pipe that nobody reads takes 64 KiB; it is filled before the log begins."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 65536)
        os.set_blocking(writing, True)
        command = [sys.executable, "-m", "longshore", "serve", "--port", str(free_port())]
        with subprocess.Popen(command, cwd=project, env=environment(), stdout=writing) as process:
            try:
                url = f"http://127.0.0.1:{command[-1]}/"
                assert answered(url) == 200
                process.send_signal(signal.SIGTERM)
                assert process.wait(LIMIT_S) == 0
            finally:
                process.kill()
    finally:
        os.close(reading)
        os.close(writing)


def answered(url: str) -> int:
    """Return the status of an answer, once there is a server."""
    while True:
        with contextlib.suppress(httpx.ConnectError):
            return get(url)


def test_it_goes_on_when_nobody_reads_its_log(project: Path) -> None:
    with launched("serve", "--port", "0", cwd=project) as running:
        url = running.wait_for(r"ready on (\S+)")[1]
        running.stop_reading()
        assert [get(url) for _ in range(5)] == [200] * 5
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(LIMIT_S) == 0
