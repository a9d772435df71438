"""What ``run_worker()`` takes from the process and gives back: modules, dialer, threads, sockets, tasks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import socketserver
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from longshore import connect
from longshore.config.errors import ConfigError
from longshore.testing.worker import run_worker
from tests.loops import open_sockets
from tests.testing.projects import write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTING = """
    import helper
    from workers import Response, WorkerEntrypoint

    count = 0

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            global count
            count += 1
            return Response(f"{helper.WORD} {count}")
"""
HELPER = 'WORD = "visit"\n'


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """A project of two modules, with state in a global."""
    return write_project(tmp_path, COUNTING, helper=HELPER)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Every test here gives back what it took."""
    threads, sockets, path, modules = set(threading.enumerate()), open_sockets(), list(sys.path), set(sys.modules)
    yield
    assert set(threading.enumerate()) == threads
    assert open_sockets() <= sockets
    assert sys.path == path
    assert not {"entry", "helper"} & (set(sys.modules) - modules)


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(100):
                self.request.sendall(data)


@pytest.fixture
def echo_address() -> Iterator[str]:
    """``host:port`` of an echo server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield "{}:{}".format(*server.server_address)
        server.shutdown()


def test_globals_live_as_long_as_the_worker(counting: Path) -> None:
    for _ in range(2):
        with run_worker(counting) as worker:
            assert [worker.fetch("/").text for _ in range(2)] == ["visit 1", "visit 2"]
            assert worker.http.get("/").text == "visit 3"


def test_modules_of_the_worker_can_be_patched_while_it_runs(counting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_worker(counting) as worker, monkeypatch.context() as patch:
        patch.setattr("helper.WORD", "call")
        assert worker.fetch("/").text == "call 1"


def test_a_module_that_the_test_imported_is_the_one_the_worker_uses(
    counting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(counting / "src"))
        import helper  # type: ignore[import-not-found] # noqa: PLC0415 - of the project

        patch.setattr(helper, "WORD", "mine")
        with run_worker(counting) as worker:
            assert worker.fetch("/").text == "mine 1"
        assert sys.modules.pop("helper") is helper


def test_a_second_worker_at_the_same_time_is_refused(counting: Path) -> None:
    with run_worker(counting) as worker:
        with pytest.raises(RuntimeError, match="already running in this process"), run_worker(counting):
            pass
        assert worker.fetch("/").text == "visit 1"


def test_a_module_that_cannot_be_imported_raises_its_own_error(tmp_path: Path) -> None:
    bad = write_project(tmp_path / "bad", "import helper\nraise LookupError('at import')\n", helper=HELPER)
    with pytest.raises(LookupError, match="at import"), run_worker(bad):
        pass
    good = write_project(tmp_path / "good", COUNTING, helper=HELPER)
    with run_worker(good) as worker:
        assert worker.fetch("/").text == "visit 1"


def test_an_application_whose_startup_fails_raises_its_own_words(tmp_path: Path) -> None:
    source = """
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})
    """
    with pytest.raises(RuntimeError, match="no database"), run_worker(write_project(tmp_path, source)):
        pass


def test_a_wrong_configuration_is_said_with_its_place(tmp_path: Path) -> None:
    project = write_project(tmp_path, COUNTING, "nmae = 1\n")
    with pytest.raises(ConfigError, match=r"longshore\.toml:3"), run_worker(project):
        pass


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_runs_on_either_loop(counting: Path, loop: str) -> None:
    with run_worker(counting, loop=loop) as worker:
        assert worker.fetch("/").text == "visit 1"
        assert type(worker._hosted.loop).__module__.startswith(loop)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_clients_in_globals_end_with_the_worker_in_silence(
    tmp_path: Path, loop: str, echo_address: str, recwarn: pytest.WarningsRecorder
) -> None:
    """As in production, where they end with the process: what lives as long as the worker need not be closed."""
    source = """
        import asyncio
        from workers import Response, WorkerEntrypoint, env
        from longshore import connect

        streams = None
        socket = None

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                global streams, socket
                host, _, port = env.ECHO.rpartition(":")
                if streams is None:
                    streams = await asyncio.open_connection(host, port)
                    socket = connect(env.ECHO)
                    self.tasks = asyncio.create_task(asyncio.Event().wait())
                streams[1].write(b"hello")
                await socket.writable.write(b"world")
                return Response(await streams[0].readexactly(5) + await socket.readable.read(5))
    """
    project = write_project(tmp_path, source, '[network]\nallow = ["local"]\n')
    with run_worker(project, bindings={"ECHO": echo_address}, loop=loop) as worker:
        assert [worker.fetch("/").text for _ in range(2)] == ["helloworld"] * 2
    assert not recwarn.list


def test_a_pool_that_replaces_lost_connections_gets_no_new_ones(tmp_path: Path, echo_address: str) -> None:
    source = """
        import asyncio
        from workers import Response, WorkerEntrypoint, env

        attempts = []

        class Kept(asyncio.Protocol):
            def connection_lost(self, exc):
                asyncio.get_running_loop().create_task(connect())

        async def connect():
            host, _, port = env.ECHO.rpartition(":")
            try:
                await asyncio.get_running_loop().create_connection(Kept, host, port)
                attempts.append("connected")
            except OSError as error:
                attempts.append(str(error))

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                await connect()
                return Response("kept")
    """
    with run_worker(write_project(tmp_path, source), bindings={"ECHO": echo_address}) as worker:
        assert worker.fetch("/").text == "kept"
        import entry  # type: ignore[import-not-found] # noqa: PLC0415 - of the project

        attempts = entry.attempts
    assert attempts == ["connected", "the worker has ended: its event loop makes no new connection"]


def test_connect_follows_the_rules_of_the_worker_inside_it_and_nowhere_else(tmp_path: Path, echo_address: str) -> None:
    source = """
        from workers import Response, WorkerEntrypoint, env
        from longshore import PolicyDenied, connect

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                socket = connect(env.ECHO)
                try:
                    await socket.opened
                except PolicyDenied as denied:
                    return Response(str(denied), status=403)
                await socket.close()
                return Response("connected")
    """

    async def outside() -> None:
        async with connect(echo_address) as socket:
            await socket.opened

    closed = write_project(tmp_path / "closed", source)
    with run_worker(closed, bindings={"ECHO": echo_address}) as worker:
        assert "blocked by policy" in worker.fetch("/").text
        asyncio.run(outside())  # no census of sockets: the worker, in its thread, has its own
    opened = write_project(tmp_path / "opened", source, '[network]\nallow = ["local"]\n')
    with run_worker(opened, bindings={"ECHO": echo_address}) as worker:
        assert worker.fetch("/").text == "connected"


def test_after_the_block_the_worker_says_that_it_is_gone(counting: Path) -> None:
    with run_worker(counting) as worker:
        pass
    with pytest.raises(RuntimeError, match="the event loop of this worker is closed"):
        worker.fetch("/")


def test_connections_of_others_are_broken_at_the_end(counting: Path) -> None:
    with run_worker(counting) as worker:
        host, _, port = worker.url.removeprefix("http://").partition(":")
        client = socket.create_connection((host, int(port)), timeout=10)
        client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"visit 1"):
            answer += client.recv(1000)
    with client:
        try:
            rest = client.recv(1)
        except ConnectionResetError:
            rest = b""
        assert rest == b""
