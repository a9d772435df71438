"""What becomes of each connection when a worker is drained, with and without a successor."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from longshore.proto.ipc.messages import Adopt, Drain, Drained, HandOver, LogLine
from tests.runtime.worker.processes import listening, read_response, write_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.config.model import WorkerConfig
    from tests.runtime.worker.processes import Hatchery, WorkerProcess

GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nhost: test\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nhost: test\r\n\r\n"
EARLY = b"POST /early HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n"

# /wait and /stream say when they have begun, and end when somebody writes into the FIFO "go".
SOURCE = """
import asyncio, logging, os
from workers import Response, WorkerEntrypoint

async def go():
    logging.info("begun")
    await asyncio.to_thread(lambda: open("go").read())

async def pieces():
    yield b"first "
    await go()
    yield b"last"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/wait":
            await go()
        elif request.path == "/stream":
            return Response(pieces())
        elif request.path == "/large":
            return Response(bytes(8_000_000))
        return Response(f"NAME")
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
"""


def project(folder: Path, name: str) -> WorkerConfig:
    """Write a worker that answers with its name."""
    folder.mkdir(exist_ok=True)
    if not (folder / "go").exists():
        os.mkfifo(folder / "go")
    return write_worker(folder, SOURCE.replace("NAME", name), main=f"{name}/entry.py")


def go(folder: Path) -> None:
    """Let one waiting handler go on."""
    (folder / "go").write_text("")


def connected(sock: socket.socket) -> socket.socket:
    client = socket.create_connection(sock.getsockname(), timeout=30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client: socket.socket, request: bytes = GET) -> bytes:
    client.sendall(request)
    return read_response(client)[2]


@contextmanager
def two_workers(hatchery: Hatchery, folder: Path, sock: socket.socket) -> Iterator[tuple[WorkerProcess, WorkerProcess]]:
    """Give a worker that answers "old" and one that does not listen on the test's socket yet and answers "new"."""
    with (
        listening() as elsewhere,
        hatchery.running(project(folder, "old"), sock) as old,
        hatchery.running(project(folder, "new"), elsewhere) as new,
    ):
        yield old, new


def pass_on(old: WorkerProcess, new: WorkerProcess) -> None:
    """Play the host: give the connection that comes back to the successor."""
    _, (fd,) = old.next_with(HandOver)
    new.channel.send(Adopt(), [fd])
    os.close(fd)


# -- with a successor -----------------------------------------------------------------------------


def test_an_idle_connection_goes_on_in_the_successor(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        assert ask(client) == b"old"
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        pass_on(old, new)
        assert ask(client) == b"new"
        assert ask(client) == b"new"
        assert old.next(Drained) == Drained()
        assert old.exit_code() == 0
        assert ask(client) == b"new"


def test_a_connection_that_has_sent_nothing_goes_on_in_the_successor(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        with connected(sock) as other:
            assert ask(other) == b"old"  # so the first one is accepted
            old.channel.send(Drain(timeout_s=10.0, hand_over=True))
            pass_on(old, new)
            pass_on(old, new)
        assert ask(client) == b"new"


def test_bytes_that_come_between_the_workers_are_not_lost(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        assert ask(client) == b"old"
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        _, (fd,) = old.next_with(HandOver)
        client.sendall(GET)  # nobody reads now
        new.channel.send(Adopt(), [fd])
        os.close(fd)
        assert read_response(client)[2] == b"new"


def test_a_request_in_flight_is_answered_by_the_old_worker_and_the_next_by_the_new(
    hatchery: Hatchery, tmp_path: Path
) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        client.sendall(WAIT)
        old.next(LogLine)
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        go(tmp_path)
        status, headers, body = read_response(client)
        assert (status, body, headers["connection"]) == (200, b"old", None)
        pass_on(old, new)
        assert ask(client) == b"new"


def test_a_large_response_is_sent_completely_before_the_connection_moves(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        client.sendall(GET.replace(b"/ ", b"/large "))
        client.recv(1, socket.MSG_PEEK)  # the response has begun, and does not fit into the kernel's buffers
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        assert read_response(client)[2] == bytes(8_000_000)
        pass_on(old, new)
        assert ask(client) == b"new"


def test_a_request_that_has_begun_to_arrive_is_answered_by_the_old_worker(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        with connected(sock) as other:
            client.sendall(GET[:10])
            assert ask(other) == b"old"  # so the ten bytes are read, too
            old.channel.send(Drain(timeout_s=10.0, hand_over=True))
            pass_on(old, new)
        client.sendall(GET[10:])
        assert read_response(client)[2] == b"old"
        pass_on(old, new)
        assert ask(client) == b"new"


def test_a_connection_whose_request_body_is_still_coming_stays(hatchery: Hatchery, tmp_path: Path) -> None:
    """The response is complete before the request: the parser of the old worker waits for the rest."""
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        client.sendall(EARLY)
        assert read_response(client)[2] == b"old"
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        client.sendall(b"0123456789" + GET)
        pieces = [read_response(client)[2]]
        pass_on(old, new)
        assert pieces == [b"old"]
        assert ask(client) == b"new"


def test_pipelined_requests_are_all_answered_before_the_connection_moves(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        client.sendall(WAIT + GET + GET)
        old.next(LogLine)
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        go(tmp_path)
        assert [read_response(client)[2] for _ in range(3)] == [b"old"] * 3
        pass_on(old, new)
        assert ask(client) == b"new"


def test_new_connections_are_left_to_the_successor(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, hatchery.running(project(tmp_path, "old"), sock) as old:
        old.channel.send(Drain(timeout_s=10.0, hand_over=True))
        assert old.next(Drained) == Drained()
        with connected(sock) as client:
            client.sendall(GET)
            with hatchery.running(project(tmp_path, "new"), sock):
                assert read_response(client)[2] == b"new"


def test_a_worker_that_is_replaced_itself_passes_adopted_connections_on(hatchery: Hatchery, tmp_path: Path) -> None:
    with listening() as sock, two_workers(hatchery, tmp_path, sock) as (old, new), connected(sock) as client:
        assert ask(client) == b"old"
        with connected(sock) as busy:
            busy.sendall(WAIT)
            old.next(LogLine)
            old.channel.send(Drain(timeout_s=10.0, hand_over=True))
            _, (fd,) = old.next_with(HandOver)
            old.channel.send(Adopt(), [fd])  # the host was wrong about who serves
            os.close(fd)
            pass_on(old, new)
            assert ask(client) == b"new"
            go(tmp_path)
            pass_on(old, new)


def test_connections_of_busy_clients_survive_the_change(hatchery: Hatchery, tmp_path: Path) -> None:
    """Ten clients ask without a pause, each on one connection, while one worker takes over from the other."""
    names: list[list[bytes]] = [[] for _ in range(10)]

    def load(sock: socket.socket, seen: list[bytes]) -> None:
        with connected(sock) as client:
            while seen.count(b"new") < 20:
                seen.append(ask(client))

    with listening() as sock, hatchery.running(project(tmp_path, "old"), sock) as old:
        clients = [threading.Thread(target=load, args=(sock, seen)) for seen in names]
        for client in clients:
            client.start()
        while not all(names):
            pass
        with hatchery.running(project(tmp_path, "new"), sock) as new:
            old.channel.send(Drain(timeout_s=10.0, hand_over=True))
            for _ in clients:
                pass_on(old, new)
            for client in clients:
                client.join()
    for seen in names:
        assert seen.index(b"new") == seen.count(b"old") >= 1


# -- without one ----------------------------------------------------------------------------------


def drain(worker: WorkerProcess, timeout_s: float = 10.0) -> None:
    worker.channel.send(Drain(timeout_s=timeout_s))


def test_a_request_in_flight_is_answered_with_close(hatchery: Hatchery, tmp_path: Path) -> None:
    with (
        listening() as sock,
        hatchery.running(project(tmp_path, "old"), sock) as worker,
        connected(sock) as client,
        connected(sock) as idle,
    ):
        client.sendall(WAIT)
        worker.next(LogLine)
        drain(worker)
        assert idle.recv(1) == b""  # it drains
        go(tmp_path)
        status, headers, body = read_response(client)
        assert (status, body, headers["connection"]) == (200, b"old", "close")
        assert client.recv(1) == b""
        assert worker.next(Drained) == Drained()


def test_a_response_that_has_begun_is_completed(hatchery: Hatchery, tmp_path: Path) -> None:
    with (
        listening() as sock,
        hatchery.running(project(tmp_path, "old"), sock) as worker,
        connected(sock) as client,
        connected(sock) as idle,
    ):
        client.sendall(STREAM)
        worker.next(LogLine)
        drain(worker)
        assert idle.recv(1) == b""
        go(tmp_path)
        assert read_response(client)[2] == b"first last"
        assert client.recv(1) == b""
        assert worker.next(Drained) == Drained()


def test_a_client_in_the_middle_of_its_next_request_is_served(hatchery: Hatchery, tmp_path: Path) -> None:
    with (
        listening() as sock,
        hatchery.running(project(tmp_path, "old"), sock) as worker,
        connected(sock) as client,
        connected(sock) as idle,
    ):
        assert ask(client) == b"old"
        client.sendall(GET[:10])
        assert ask(idle) == b"old"  # so the ten bytes are read, too
        drain(worker)
        assert idle.recv(1) == b""  # it drains
        client.sendall(GET[10:])
        status, headers, body = read_response(client)
        assert (status, body, headers["connection"]) == (200, b"old", "close")


def test_connections_that_wait_to_be_accepted_are_served(hatchery: Hatchery, tmp_path: Path) -> None:
    """The loop is busy with one request while others queue up behind the listening socket."""
    source = "import os\n" + SOURCE.replace("await asyncio.to_thread(lambda: open('go').read())", "open('go').read()")
    source = source.replace(
        'await asyncio.to_thread(lambda: open("go").read())', 'open("begun", "w").close(); open("go").read()'
    )
    config = write_worker(tmp_path, source.replace("NAME", "old"))
    for name in ("go", "begun"):
        os.mkfifo(tmp_path / name)
    with listening() as sock, hatchery.running(config, sock) as worker, connected(sock) as first:
        first.sendall(WAIT)
        (tmp_path / "begun").open().close()  # the loop is blocked now
        waiting = [connected(sock) for _ in range(200)]
        for client in waiting:
            client.sendall(GET)
        drain(worker)
        sock.close()
        go(tmp_path)
        answers = [read_response(client) for client in [first, *waiting]]
        assert {(status, body) for status, _, body in answers} == {(200, b"old")}
        assert {headers["connection"] for _, headers, _ in answers[1:]} == {"close"}
        for client in waiting:
            client.close()
        assert worker.next(Drained) == Drained()
        assert worker.exit_code() == 0


def test_busy_clients_lose_nothing(hatchery: Hatchery, tmp_path: Path) -> None:
    """Ten clients ask without a pause until they are told to close: every request they began was answered."""
    ended_well: list[bool] = []
    asked = threading.Semaphore(0)

    def load(sock: socket.socket) -> None:
        with connected(sock) as client:
            while True:
                client.sendall(GET)
                _, headers, body = read_response(client)
                asked.release()
                if headers["connection"] == "close":
                    ended_well.append(body == b"old")
                    return

    with listening() as sock, hatchery.running(project(tmp_path, "old"), sock) as worker:
        clients = [threading.Thread(target=load, args=(sock,)) for _ in range(10)]
        for client in clients:
            client.start()
        for _ in range(500):
            asked.acquire()
        drain(worker)
        for client in clients:
            client.join()
        assert ended_well == [True] * 10
        assert worker.next(Drained) == Drained()


@pytest.mark.parametrize("hand_over", [False, True])
def test_a_websocket_is_told_that_the_service_restarts(hatchery: Hatchery, tmp_path: Path, hand_over: bool) -> None:
    with listening() as sock, hatchery.running(write_worker(tmp_path, ASGI), sock) as worker:
        port = sock.getsockname()[1]
        with connect_websocket(f"ws://127.0.0.1:{port}/") as client:
            client.send("hello")
            assert client.recv() == "hello"
            worker.channel.send(Drain(timeout_s=10.0, hand_over=hand_over))
            with pytest.raises(ConnectionClosed) as caught:
                client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
        assert worker.next(Drained) == Drained()
