"""The life of a worker process: start, serve, drain, signals, the end of its host."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import msgspec

from longshore.config.model import NetworkRules
from longshore.proto.ipc.messages import (
    BootFailed,
    ConnectionClosed,
    ConnectionOpened,
    Drain,
    Drained,
    FireScheduled,
    HandlerFailed,
    LogLine,
    Ready,
    RequestFinished,
    ScheduledFinished,
)
from tests.runtime.worker.processes import HELLO, listening, read_response, running_hatchery, write_worker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runtime.worker.processes import Hatchery
    from tests.server_process import Server

GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"

SLOW = """
import asyncio, logging
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/quick":
            return Response("hello")
        self.ctx.wait_until(asyncio.sleep(3600))
        logging.info("begun")
        await asyncio.sleep(3600)
"""


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET %s HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n" % path.encode())
        status, _, body = read_response(client)
    return status, body


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def test_a_worker_says_that_it_is_ready_serves_and_drains(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path), sock)
        ready = worker.next(Ready)
        assert (ready.pid, ready.handlers) == (worker.pid, ("fetch",))
        assert ready.loop == "uvloop"
        assert 0 < ready.boot_s < 60
        assert get(port_of(sock)) == (200, b"hello")
        finished = worker.next(RequestFinished)
        assert (finished.method, finished.path, finished.status) == ("GET", "/", 200)
        assert worker.drain() == Drained()
        worker.channel.close()


def test_two_listening_sockets_are_both_served(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as one, listening() as two, hatchery.running(write_worker(tmp_path), one, two):
        assert get(port_of(one)) == get(port_of(two)) == (200, b"hello")


def test_responses_have_a_date_and_no_server_header(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, hatchery.running(write_worker(tmp_path), sock):
        with socket.create_connection(sock.getsockname()) as client:
            client.sendall(GET)
            _, headers, _ = read_response(client)
        assert headers["date"].endswith("GMT")
        assert headers["server"] is None


# -- the module -----------------------------------------------------------------------------------


def boot_failure(hatchery: Hatchery, folder: Path, source: str, **fields: str) -> BootFailed:
    with listening() as sock:
        worker = hatchery.start(write_worker(folder, source, **fields), sock)
        failed = worker.next(BootFailed)
        assert worker.rest() == []
        assert worker.exit_code() == 3
        worker.channel.close()
        return failed


def test_an_exception_at_import_is_reported_with_the_users_lines(hatchery: Hatchery, tmp_path: Path) -> None:
    report = boot_failure(hatchery, tmp_path, "a = 1\nb = a / 0\n").report
    assert (report.type, report.message) == ("ZeroDivisionError", "division by zero")
    (frame,) = report.frames
    assert (frame.file, frame.line) == (str(tmp_path / "src/entry.py"), 2)
    assert "longshore" not in report.text


def test_a_syntax_error_is_reported_with_its_line(hatchery: Hatchery, tmp_path: Path) -> None:
    report = boot_failure(hatchery, tmp_path, "x = 1\ndef broken(:\n").report
    assert report.type == "SyntaxError"
    assert report.frames[-1].line == 2


def test_a_module_that_exits_is_a_boot_failure(hatchery: Hatchery, tmp_path: Path) -> None:
    report = boot_failure(hatchery, tmp_path, "import sys\nsys.exit('no configuration')\n").report
    assert (report.type, report.message) == ("SystemExit", "no configuration")


def test_a_module_without_a_handler_is_a_boot_failure(hatchery: Hatchery, tmp_path: Path) -> None:
    report = boot_failure(hatchery, tmp_path, "x = 1\n").report
    assert report.message == 'Python entrypoint "entry.py" does not export a handler named "on_fetch"'


def test_a_main_module_that_is_missing_is_a_boot_failure(hatchery: Hatchery, tmp_path: Path) -> None:
    config = write_worker(tmp_path)
    (tmp_path / "src/entry.py").unlink()
    with listening() as sock:
        worker = hatchery.start(config, sock)
        assert worker.next(BootFailed).report.type == "FileNotFoundError"
        assert worker.exit_code() == 3
        worker.channel.close()


def test_an_application_whose_startup_fails_is_a_boot_failure(hatchery: Hatchery, tmp_path: Path) -> None:
    source = """
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    raise RuntimeError("the database is down")
    yield

app = FastAPI(lifespan=lifespan)
"""
    report = boot_failure(hatchery, tmp_path, source).report
    assert "the database is down" in report.message


def test_an_application_is_started_and_shut_down(hatchery: Hatchery, tmp_path: Path) -> None:
    source = """
import logging
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    logging.info("up")
    yield {"from": "lifespan"}
    logging.info("down")

app = FastAPI(lifespan=lifespan)

@app.get("/")
def hello():
    return "hello"
"""
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path, source), sock)
        assert worker.next(Ready).handlers == ("asgi",)
        assert get(port_of(sock)) == (200, b'"hello"')
        worker.drain()
        assert [line.text for line in worker.rest() if isinstance(line, LogLine)] == ["up", "down"]
        worker.channel.close()


def test_an_attribute_of_a_module_is_an_application(hatchery: Hatchery, tmp_path: Path) -> None:
    source = """
from fastapi import FastAPI
service = FastAPI()

@service.get("/")
def hello():
    return __name__
"""
    config = write_worker(tmp_path, source, main="src/shop.py")
    config = msgspec.structs.replace(config, main="shop:service")
    with listening() as sock, hatchery.running(config, sock):
        assert get(port_of(sock)) == (200, b'"shop"')


def test_siblings_are_imported_and_see_the_main_module(hatchery: Hatchery, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/submodule.py").write_text("def text():\n    import entry\n    return entry.NAME\n")
    source = HELLO.replace('"hello"', "text()") + "\nfrom submodule import text\nNAME = __name__ + ' of ' + __file__\n"
    with listening() as sock, hatchery.running(write_worker(tmp_path, source), sock):
        assert get(port_of(sock)) == (200, f"entry of {tmp_path / 'src/entry.py'}".encode())


def test_a_main_module_may_have_the_name_of_another(hatchery: Hatchery, tmp_path: Path) -> None:
    source = HELLO.replace('"hello"', "__name__") + "\nimport json\njson.dumps({})\n"
    with listening() as sock, hatchery.running(write_worker(tmp_path, source, main="src/json.py"), sock):
        assert get(port_of(sock)) == (200, b"worker_json")


def test_the_bindings_are_there_at_import(hatchery: Hatchery, tmp_path: Path) -> None:
    source = "from workers import env\nGREETING = env.GREETING\n" + HELLO.replace('"hello"', "GREETING")
    config = write_worker(tmp_path, source, vars={"GREETING": "good morning"})
    with listening() as sock, hatchery.running(config, sock):
        assert get(port_of(sock)) == (200, b"good morning")


def test_the_working_directory_is_the_project(hatchery: Hatchery, tmp_path: Path) -> None:
    source = "import os\n" + HELLO.replace('"hello"', "os.getcwd()")
    with listening() as sock, hatchery.running(write_worker(tmp_path, source), sock):
        assert get(port_of(sock)) == (200, str(tmp_path).encode())


def test_an_edit_within_the_same_second_and_of_the_same_length_is_seen(hatchery: Hatchery, tmp_path: Path) -> None:
    """Python's byte code cache would take the old code for current."""
    folder = tmp_path / "src"
    folder.mkdir()
    for number in (b"1", b"2"):
        (folder / "part.py").write_bytes(b"TEXT = '%s'\n" % number)
        os.utime(folder / "part.py", (1_000_000_000, 1_000_000_000))
        source = HELLO.replace('"hello"', "part.TEXT + MINE") + f"\nimport part\nMINE = '{number.decode()}'\n"
        config = write_worker(tmp_path, source)
        os.utime(config.main, (1_000_000_000, 1_000_000_000))
        with listening() as sock, hatchery.running(config, sock, is_dev=True):
            assert get(port_of(sock)) == (200, number * 2)


# -- messages -------------------------------------------------------------------------------------


def test_a_scheduled_handler_is_fired(hatchery: Hatchery, tmp_path: Path) -> None:
    source = HELLO + "\n    async def scheduled(self, controller):\n        print(controller.cron)\n"
    with listening() as sock, hatchery.running(write_worker(tmp_path, source), sock) as worker:
        worker.channel.send(FireScheduled(cron="* * * * *", scheduled_time_ms=1))
        finished = worker.next(ScheduledFinished)
        assert (finished.cron, finished.outcome) == ("* * * * *", "ok")


def test_log_records_and_warnings_reach_the_host(hatchery: Hatchery, tmp_path: Path) -> None:
    source = """
import logging, warnings
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        logging.info("hello %s", "you")
        logging.getLogger("shop").debug("not shown")
        warnings.warn("take care")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("shop").exception("failed")
        return Response()
"""
    with listening() as sock, hatchery.running(write_worker(tmp_path, source), sock) as worker:
        get(port_of(sock))
        lines = [worker.next(LogLine) for _ in range(3)]
        assert [(line.level, line.logger) for line in lines] == [
            ("info", "root"),
            ("warning", "UserWarning"),
            ("error", "shop"),
        ]
        assert lines[0].text == "hello you"
        assert "take care" in lines[1].text
        assert lines[2].text.startswith("failed\nTraceback")
        assert {line.request_id for line in lines} == {worker.next(RequestFinished).request_id} != {""}


def test_basic_config_for_a_level_keeps_the_way_to_the_host(hatchery: Hatchery, tmp_path: Path) -> None:
    source = "import logging\nlogging.basicConfig(level=logging.DEBUG)\nlogging.debug('fine')\n" + HELLO
    with listening() as sock, hatchery.running(write_worker(tmp_path, source), sock) as worker:
        assert worker.next(LogLine).text == "fine"


CONNECTS = """
import asyncio, socket
from longshore import connect
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        host, port = self.env.PLACE
        async with connect((host, port)) as ours:
            await ours.writable.write(b"12345")
            await ours.writable.close()
            assert await ours.readable.read() == b"12345"
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"123")
        writer.write_eof()
        assert await reader.read() == b"123"
        writer.close()
        await writer.wait_closed()
        await asyncio.to_thread(lambda: socket.create_connection((host, port)).close())
        return Response("done")
"""


def test_outbound_connections_are_told_with_their_request(
    hatchery: Hatchery, tmp_path: Path, echo_server: Server
) -> None:
    config = write_worker(
        tmp_path,
        CONNECTS,
        vars={"PLACE": ["127.0.0.1", echo_server.port]},
        network=NetworkRules(allow=("local",)),
    )
    with listening() as sock, hatchery.running(config, sock, log_connections=True) as worker:
        assert get(port_of(sock)) == (200, b"done")
        opened = [worker.next(ConnectionOpened) for _ in range(3)]
        closed = [worker.next(ConnectionClosed) for _ in range(2)]
        assert [each.via for each in opened] == ["connect()", "asyncio", "socket"]
        assert {each.address for each in opened} == {f"127.0.0.1:{echo_server.port}"}
        assert [(each.bytes_sent, each.bytes_received) for each in closed] == [(5, 5), (3, 3)]
        ids = {each.request_id for each in opened} | {each.request_id for each in closed}
        assert ids == {worker.next(RequestFinished).request_id}


def test_the_policy_is_in_force_with_and_without_a_log(hatchery: Hatchery, tmp_path: Path, echo_server: Server) -> None:
    config = write_worker(tmp_path, CONNECTS, vars={"PLACE": ["127.0.0.1", echo_server.port]})
    for log_connections in (False, True):
        with listening() as sock, hatchery.running(config, sock, log_connections=log_connections) as worker:
            assert get(port_of(sock))[0] == 500
            assert worker.next(HandlerFailed).report.type == "longshore.errors.PolicyDenied"


# -- the end --------------------------------------------------------------------------------------


def test_sigterm_drains_a_worker_that_is_signalled_itself(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path), sock)
        worker.next(Ready)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.next(Drained) == Drained()
        assert worker.exit_code() == 0
        worker.channel.close()


def test_a_second_sigterm_does_not_wait(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path, SLOW), sock)
        worker.next(Ready)
        with socket.create_connection(sock.getsockname()) as busy, socket.create_connection(sock.getsockname()) as idle:
            busy.sendall(GET)
            worker.next(LogLine)
            idle.sendall(GET.replace(b"/ ", b"/quick "))
            read_response(idle)
            os.kill(worker.pid, signal.SIGTERM)
            assert idle.recv(1) == b""  # it drains
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.next(Drained) == Drained(cancelled_requests=1, cancelled_tasks=1)
        assert worker.exit_code() == 0
        worker.channel.close()


def test_sigint_of_the_terminal_is_for_the_host(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, hatchery.running(write_worker(tmp_path), sock) as worker:
        os.kill(worker.pid, signal.SIGINT)
        assert get(port_of(sock)) == (200, b"hello")


def test_a_drain_that_takes_too_long_cancels_what_is_left(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path, SLOW), sock)
        worker.next(Ready)
        with socket.create_connection(sock.getsockname()) as client:
            client.sendall(GET)
            worker.next(LogLine)
            assert worker.drain(timeout_s=0.0) == Drained(cancelled_requests=1, cancelled_tasks=1)
        worker.channel.close()


def test_an_order_to_end_during_the_boot_ends_it(hatchery: Hatchery, tmp_path: Path) -> None:
    source = """
import asyncio, logging

async def app(scope, receive, send):
    logging.info("starting")
    await asyncio.sleep(3600)
"""
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path, source), sock)
        worker.next(LogLine)
        worker.channel.send(Drain(timeout_s=30.0))
        assert worker.rest() == []
        assert worker.exit_code() == 0
        worker.channel.close()


def test_a_worker_whose_host_is_gone_ends(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path), sock)
        worker.next(Ready)
        worker.channel.close()
        assert worker.exit_code() == 0


def test_a_worker_that_is_never_started_ends_with_its_host(hatchery: Hatchery) -> None:
    worker = hatchery.hatch()
    worker.channel.close()
    assert worker.exit_code() == 0


# -- output and exit handlers ---------------------------------------------------------------------

SPEAKS = """
import atexit, sys, tempfile, weakref
print("imported")
atexit.register(print, "at exit")
kept = tempfile.TemporaryDirectory()
print("folder", kept.name)
sys.stdout.write("no newline")
"""


def test_nothing_that_is_printed_is_lost_and_exit_handlers_run(tmp_path: Path) -> None:
    config = write_worker(tmp_path, SPEAKS + HELLO)
    with (tmp_path / "out").open("w") as out, running_hatchery(out.fileno()) as hatchery, listening() as sock:
        worker = hatchery.start(config, sock)
        worker.next(Ready)
        worker.drain()
        worker.channel.close()
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[0] == "imported"
    assert lines[2] == "no newlineat exit"
    assert not os.path.exists(lines[1].removeprefix("folder "))


def test_a_thread_that_hangs_does_not_keep_the_process(hatchery: Hatchery, tmp_path: Path) -> None:
    source = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n" + HELLO
    with listening() as sock:
        worker = hatchery.start(write_worker(tmp_path, source), sock)
        worker.next(Ready)
        worker.drain()
        worker.channel.close()
