"""``longshore dev`` without a terminal: over real HTTP, with real reloads and signals."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from rich.text import Text

from longshore.cli.dev import joined
from tests.cli.launched import LIMIT_S, launched, run_longshore

if TYPE_CHECKING:
    from pathlib import Path

READY = r"Ready on (http://\S+)"
CONFIG = """\
name = "shop"
main = "entry.py"
[vars]
GREETING = "hello"
[network]
allow = ["local"]
"""
ENTRY = """\
from longshore import connect
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/boom":
            raise LookupError("no such customer")
        if request.path.startswith("/socket/"):
            async with connect("127.0.0.1:" + request.path.rpartition("/")[2]) as socket:
                return Response(await socket.readable.read())
        return Response(self.env.GREETING + "\\n")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A worker that greets, raises, and opens sockets."""
    (tmp_path / "longshore.toml").write_text(CONFIG)
    (tmp_path / "entry.py").write_text(ENTRY)
    (tmp_path / ".dev.vars").write_text("TOKEN=hush\n")
    return tmp_path


def get(url: str) -> httpx.Response:
    """Return the answer to a GET request, past any proxy."""
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        return client.get(url)


def wait_for_answer(url: str, text: str) -> None:
    """Ask until the new code answers: the former process may still accept a connection or two when it is ready."""
    end = time.monotonic() + LIMIT_S
    while (answer := get(url).text) != text:
        assert time.monotonic() < end, answer


def test_it_shows_what_the_worker_has_and_every_request(project: Path) -> None:
    with launched("dev", "--port", "0", cwd=project) as running:
        url = running.wait_for(READY)[1]
        assert get(url).text == "hello\n"
        running.wait_for(r"^GET / 200 OK \(\S+ms\)$")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    text = running.text
    assert "shop" in text.splitlines()[0]
    assert "GREETING" in text
    assert "TOKEN" in text
    assert "hush" not in text
    assert "Network  may connect to local" in text
    assert "\nIsolation  " in text
    assert "\x1b" not in text
    assert "r reload" not in text, "there are no keys without a terminal"


def test_it_ends_on_ctrl_c_without_a_traceback(project: Path) -> None:
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for(READY)
        running.process.send_signal(signal.SIGINT)
        assert running.ended() == 0
    assert "Traceback" not in running.text


def test_it_ends_when_its_terminal_goes_away(project: Path) -> None:
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for(READY)
        running.process.send_signal(signal.SIGHUP)
        assert running.ended() == 0


def test_an_error_of_the_handler_is_shown_with_its_source(project: Path) -> None:
    with launched("dev", "--port", "0", cwd=project) as running:
        url = running.wait_for(READY)[1]
        assert get(f"{url}/boom").status_code == 500
        running.wait_for(r"LookupError: no such customer")
        running.wait_for(r"entry\.py:8 in ")
        running.wait_for(r">  8 \| +raise LookupError")
        running.wait_for(r"GET /boom 500 Internal Server Error")


def test_connections_are_shown_as_they_happen(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, launched("dev", "--port", "0", cwd=project) as running:
        port = server.getsockname()[1]
        url = running.wait_for(READY)[1]
        with httpx.Client(trust_env=False, timeout=30.0) as client:
            with client.stream("GET", f"{url}/nothing"):
                pass
            running.wait_for("GET /nothing")
        with socket.create_connection((url.split("/")[2].split(":")[0], int(url.rpartition(":")[2]))) as asking:
            asking.sendall(b"GET /socket/%d HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % port)
            peer, _ = server.accept()
            running.wait_for(rf"→ 127\.0\.0\.1:{port}  .*tcp \S+ms +#\d+")
            with peer:
                peer.sendall(b"from the socket")
            assert b"from the socket" in asking.makefile("rb").read()
        running.wait_for(rf"← 127\.0\.0\.1:{port}  .* received 15 B +#\d+")


def test_saving_a_file_reloads_and_saving_a_mistake_is_told(project: Path) -> None:
    entry = project / "entry.py"
    with launched("dev", "--port", "0", cwd=project) as running:
        url = running.wait_for(READY)[1]
        entry.write_text(ENTRY.replace("self.env.GREETING", "'new code'"))
        running.wait_for("Reloading… entry.py")
        running.wait_for(r"Reloaded in \S+ms")
        wait_for_answer(url, "new code\n")
        entry.write_text(f"{ENTRY}x = (\n")
        running.wait_for("SyntaxError.*the new code cannot be run")
        running.wait_for("Waiting for a change")
        entry.write_text(ENTRY)
        running.wait_for(r"Reloaded in \S+ms")
        wait_for_answer(url, "hello\n")


def test_saving_the_configuration_reloads_it(project: Path) -> None:
    config = project / "longshore.toml"
    with launched("dev", "--port", "0", cwd=project) as running:
        url = running.wait_for(READY)[1]
        config.write_text(CONFIG.replace('"hello"', '"ahoy"'))
        running.wait_for(r"Reloaded in \S+ms")
        wait_for_answer(url, "ahoy\n")
        config.write_text(CONFIG.replace("vars", "vrs"))
        running.wait_for("did you mean 'vars'")
        running.wait_for("former configuration stays")
        assert get(url).text == "ahoy\n"


def test_the_command_line_goes_before_the_file(project: Path) -> None:
    (project / "other.py").write_text(ENTRY.replace('GREETING + "\\n"', 'GREETING + " from the other\\n"'))
    with launched(
        "dev", "other.py", "--ip", "127.0.0.1", "--port", "0", "--var", "GREETING:hi", cwd=project
    ) as running:
        url = running.wait_for(READY)[1]
        assert url.startswith("http://127.0.0.1:")
        assert get(url).text == "hi from the other\n"


def test_a_port_that_was_asked_for_and_is_taken_ends_it(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_longshore("dev", "--ip", "127.0.0.1", "--port", str(taken.getsockname()[1]), cwd=project)
    assert done.returncode == 78
    assert "taken" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_worker_that_cannot_be_run_is_waited_for(project: Path) -> None:
    (project / "entry.py").write_text("import nothing_of_that_name\n")
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for("ModuleNotFoundError.*the worker cannot be run")
        (project / "entry.py").write_text(ENTRY)
        url = running.wait_for(READY)[1]
        wait_for_answer(url, "hello\n")


def test_a_module_that_takes_its_time_is_excused(project: Path) -> None:
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.01)\n"
    (project / "entry.py").write_text(wait + ENTRY)
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for(r"^Still starting: ")
        (project / "go").touch()
        running.wait_for(READY)


def test_whoever_waits_for_a_request_is_told_and_how_to_end_it(project: Path) -> None:
    endless = 'print("begun", flush=True)\n            await __import__("asyncio").Event().wait()'
    (project / "entry.py").write_text(ENTRY.replace('raise LookupError("no such customer")', endless))
    with launched("dev", "--port", "0", cwd=project) as running, ThreadPoolExecutor() as threads:
        asked = threads.submit(get, running.wait_for(READY)[1] + "/boom")
        running.wait_for("^begun$")
        running.process.send_signal(signal.SIGINT)
        running.wait_for("^Requests in flight have up to 5.0s to finish; Ctrl-C ends them now")
        running.process.send_signal(signal.SIGINT)
        assert running.ended() == 0
        assert asked.result().status_code == 503


def test_no_process_is_left(project: Path) -> None:
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for(READY)
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert len(family) >= 3, "zygote, egress process and worker"
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert not any(process.is_running() for process in family)


def test_isolation_may_be_turned_off(project: Path) -> None:
    with launched("dev", "--port", "0", "--isolation", "off", cwd=project) as running:
        url = running.wait_for(READY)[1]
        assert get(url).text == "hello\n"
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert "Isolation  off: workers may do what this account may do" in running.text


def test_an_isolation_that_there_is_not(project: Path) -> None:
    done = run_longshore("dev", "--isolation", "of", cwd=project)
    assert done.returncode == 64
    assert "'of' is none of auto, required, off" in done.stderr


def test_it_ends_when_nobody_reads_what_it_shows(project: Path) -> None:
    with launched("dev", "--port", "0", cwd=project, PYTHONUNBUFFERED="") as running:
        url = running.wait_for(READY)[1]
        running.stop_reading()
        # Each request is a line that nobody takes.
        with contextlib.suppress(httpx.HTTPError):
            for _ in range(1000):
                get(url)
        assert running.process.wait(LIMIT_S) == 0


def test_a_terminal_that_knows_ascii_only(project: Path) -> None:
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    with launched("dev", "--port", "0", "--var", "GREETING:Grüße", cwd=project, **variables) as running:
        url = running.wait_for(READY)[1]
        assert get(url).text == "Grüße\n"
        get(f"{url}/boom")
        running.wait_for("x LookupError: no such customer")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert running.text.isascii()


def test_it_says_only_what_matters_to_the_worker(project: Path) -> None:
    more = "[observability]\nenabled = true\n[[kv_namespaces]]\nbinding = 'CACHE'\n"
    (project / "longshore.toml").write_text(f"{CONFIG}{more}")
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for(READY)
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert "! kv_namespaces" in running.text
    assert "observability" not in running.text
    assert "! observability" in run_longshore("check", cwd=project).stdout


def test_a_worker_that_ends_while_it_is_imported_is_told_once(project: Path) -> None:
    (project / "entry.py").write_text("import os\nos._exit(5)\n")
    with launched("dev", "--port", "0", cwd=project) as running:
        running.wait_for("Waiting for a change")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert running.text.count("ended with") == 1


@pytest.mark.parametrize("width", [1, 20, 40, 80])
def test_keys_are_put_into_lines_by_words(width: int) -> None:
    words = [Text(word) for word in ("b browser", "r reload", "c clear", "x exit")]
    lines = [line.plain for line in joined(words, width)]
    assert "   ".join(lines).split("   ") == [word.plain for word in words]
    assert all(len(line) <= max(width, len("b browser")) for line in lines)
    assert len(lines) == {1: 4, 20: 2, 40: 1, 80: 1}[width]
