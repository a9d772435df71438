"""``WorkerServer`` and its protocol in one process, on both loops."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore.runtime.worker.lifespan import LifespanFailed
from longshore.runtime.worker.protocol import MAX_HEAD_BYTES, WorkerProtocol
from longshore.runtime.worker.server import WorkerServer
from longshore.runtime.worker.serving import Draining

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"


class App:
    """Answers with its name, and keeps what it was called with."""

    def __init__(self, name: bytes = b"hello") -> None:
        self.name = name
        self.scopes: list[Any] = []
        self.go: asyncio.Event | None = None
        self.has_begun = asyncio.Event()
        self.steps: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        self.scopes.append(scope)
        self.has_begun.set()
        if self.go is not None:
            await self.go.wait()
        headers = [(b"content-length", b"%d" % len(self.name))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.name})

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["from"] = "startup"
        for step in ("startup", "shutdown"):
            await receive()
            self.steps.append(step)
            await send({"type": f"lifespan.{step}.complete"})


@asynccontextmanager
async def running(app: Any, *sockets: socket.socket) -> AsyncIterator[WorkerServer]:
    server = WorkerServer(app, sockets)
    try:
        await server.start()
        yield server
    finally:
        server.close()
        await server.wait_empty()
        await server.shutdown()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock, sock.getsockname()[1]


@asynccontextmanager
async def client(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def two_servers(app: App) -> AsyncIterator[tuple[WorkerServer, WorkerServer, int]]:
    """Give a server, one that answers "new" elsewhere, and the port of the first."""
    async with (
        listening() as (sock, port),
        listening() as (elsewhere, _),
        running(app, sock) as old,
        running(App(b"new"), elsewhere) as new,
    ):
        yield old, new, port


async def response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return head and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    (length,) = (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    return head, await reader.readexactly(length)


async def test_it_serves_and_shuts_the_application_down() -> None:
    app = App()
    async with listening() as (sock, port), running(app, sock), client(port) as (reader, writer):
        for _ in range(3):
            writer.write(GET)
            head, body = await response(reader)
            assert (head[:15], body) == (b"http/1.1 200 ok", b"hello")
            assert b"\r\ndate: " in head
        assert app.scopes[0]["state"] == {"from": "startup"}
        assert app.scopes[0]["longshore.connection"] is app.scopes[2]["longshore.connection"]
    assert app.steps == ["startup", "shutdown"]


async def test_the_shared_listening_socket_never_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    duplicate = socket.socket.dup

    def dup(sock: socket.socket) -> socket.socket:
        copy = duplicate(sock)
        seen.append(os.get_blocking(copy.fileno()))
        return copy

    monkeypatch.setattr(socket.socket, "dup", dup)
    async with listening() as (sock, _):
        sock.setblocking(False)
        received = socket.socket(fileno=os.dup(sock.fileno()))  # as it comes through the channel
        async with running(App(), received):
            assert seen == [False], "another worker that accepts at this moment would hang"


async def test_the_request_hears_that_its_client_has_left() -> None:
    app = App()
    app.go = asyncio.Event()
    left = asyncio.Event()
    async with listening() as (sock, port), running(app, sock):
        async with client(port) as (_, writer):
            writer.write(GET)
            await app.has_begun.wait()
            connection = app.scopes[0]["longshore.connection"]
            assert not connection.is_lost
            connection.on_lost = left.set
        await left.wait()
        assert connection.is_lost
        app.go.set()


async def test_a_head_that_does_not_end_is_refused() -> None:
    async with listening() as (sock, port), running(App(), sock), client(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: test\r\n")
        sent = 0
        while sent < MAX_HEAD_BYTES + 256 * 1024 + 1:  # beyond what one read may bring
            writer.write(b"x-%06d: " % sent + b"x" * 1000 + b"\r\n")
            sent += 1000
        head, body = await response(reader)
        assert head.startswith(b"http/1.1 431 ")
        assert b"connection: close" in head
        assert body == b"Request Header Fields Too Large"


async def test_a_head_of_moderate_size_in_many_pieces_is_accepted() -> None:
    app = App()
    async with listening() as (sock, port), running(app, sock), client(port) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: test\r\n")
            for number in range(20):
                writer.write(b"x-%d: " % number + b"x" * 2000 + b"\r\n")
                await asyncio.sleep(0)
            writer.write(b"\r\n")
            head, _ = await response(reader)
            assert head.startswith(b"http/1.1 200 ")
        assert len(app.scopes[1]["headers"]) == 21


async def test_a_head_that_does_not_come_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.worker.protocol.HEAD_TIMEOUT_S", 0.01)
    async with listening() as (sock, port), running(App(), sock), client(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        head, _ = await response(reader)
        assert head.startswith(b"http/1.1 408 ")
        assert await reader.read() == b""


async def test_a_head_that_does_not_come_leaves_the_response_before_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.worker.protocol.HEAD_TIMEOUT_S", 0.0)
    app = App()
    app.go = asyncio.Event()
    async with listening() as (sock, port), running(app, sock), client(port) as (reader, writer):
        writer.write(GET + b"GET / HTTP/1.1\r\n")
        await app.has_begun.wait()
        for _ in range(5):  # the time is over now
            await asyncio.sleep(0)
        app.go.set()
        head, body = await response(reader)
        assert body == b"hello"
        assert b"connection: close" in head
        assert await reader.read() == b""


async def test_a_new_connection_that_keeps_silent_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.worker.protocol.FIRST_REQUEST_TIMEOUT_S", 0.01)
    async with listening() as (sock, port), running(App(), sock), client(port) as (reader, _):
        assert await reader.read() == b""


async def test_an_idle_connection_moves_to_another_server() -> None:
    handed: list[int] = []
    async with two_servers(App(b"old")) as (old, new, port), client(port) as (reader, writer):
        writer.write(GET)
        assert (await response(reader))[1] == b"old"
        old.drain(lambda fd: handed.append(os.dup(fd)))
        await old.stop_accepting(is_last=False)
        await old.wait_empty()
        writer.write(GET)
        await new.adopt(handed.pop())
        assert (await response(reader))[1] == b"new"


async def test_a_busy_connection_moves_after_its_response() -> None:
    app, handed = App(b"old"), asyncio.Queue[int]()
    app.go = asyncio.Event()
    async with two_servers(app) as (old, new, port), client(port) as (reader, writer):
        writer.write(GET + GET)
        await app.has_begun.wait()
        old.drain(lambda fd: handed.put_nowait(os.dup(fd)))
        app.go.set()
        for _ in range(2):
            head, body = await response(reader)
            assert body == b"old"
            assert b"connection" not in head
        await new.adopt(await handed.get())
        writer.write(GET)
        assert (await response(reader))[1] == b"new"


async def test_a_busy_connection_is_closed_after_its_response_without_a_successor() -> None:
    app = App()
    app.go = asyncio.Event()
    async with listening() as (sock, port), running(app, sock) as server, client(port) as (reader, writer):
        writer.write(GET + GET)
        await app.has_begun.wait()
        server.drain(None)
        await server.stop_accepting(is_last=True)
        app.go.set()
        assert b"connection" not in (await response(reader))[0]
        assert b"connection: close" in (await response(reader))[0]
        assert await reader.read() == b""
        await server.wait_empty()


async def test_a_busy_connection_stays_when_its_successor_is_gone() -> None:
    """The host stops while it reloads: nobody would take what is handed over."""
    app, handed = App(), list[int]()
    app.go = asyncio.Event()
    async with listening() as (sock, port), running(app, sock) as server, client(port) as (reader, writer):
        writer.write(GET)
        await app.has_begun.wait()
        server.drain(handed.append)
        server.drain(None)
        app.go.set()
        assert b"connection: close" in (await response(reader))[0]
        assert await reader.read() == b""
        await server.stop_accepting(is_last=True)
        await server.wait_empty()
    assert handed == []


async def test_an_idle_connection_that_was_about_to_move_is_served_when_its_successor_is_gone() -> None:
    handed = list[int]()
    async with listening() as (sock, port), running(App(), sock) as server, client(port) as (reader, writer):
        writer.write(GET)
        await response(reader)
        (connection,) = server._serving.connections
        assert isinstance(connection, WorkerProtocol)
        connection.stop_reading()  # as it does until the kernel has the whole response
        server._serving.draining = Draining(asyncio.get_running_loop(), handed.append)
        server.drain(None)
        writer.write(GET)
        assert b"connection: close" in (await response(reader))[0]
        await server.stop_accepting(is_last=True)
        await server.wait_empty()
    assert handed == []


async def test_clients_that_wait_to_be_accepted_are_served_last() -> None:
    async with listening() as (sock, port), running(App(), sock) as server:
        with socket.create_connection(("127.0.0.1", port)) as waiting:  # the loop has not turned since
            waiting.sendall(GET)
            server.drain(None)
            await server.stop_accepting(is_last=True)
            reader, writer = await asyncio.open_connection(sock=waiting.dup())
            assert b"connection: close" in (await response(reader))[0]
            writer.close()
            await writer.wait_closed()
        await server.wait_empty()


async def test_a_connection_that_broke_on_its_way_is_dropped() -> None:
    async with listening() as (sock, _), running(App(), sock) as server:
        left, right = socket.socketpair()
        left.close()
        await server.adopt(right.detach())
        await server.wait_empty()


# -- the lifespan ---------------------------------------------------------------------------------


async def test_an_application_that_knows_no_lifespan_is_served() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await App()(scope, _receive, send)

    async with listening() as (sock, port), running(app, sock), client(port) as (reader, writer):
        writer.write(GET)
        assert (await response(reader))[1] == b"hello"


@pytest.mark.parametrize(("extra", "text"), [({"message": "no database"}, "no database"), ({}, "startup failed")])
async def test_a_startup_that_fails_is_raised(extra: dict[str, str], text: str) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", **extra})

    server = WorkerServer(app, [])
    with pytest.raises(LifespanFailed, match=text):
        await server.start()
    server.close()


async def test_a_shutdown_that_fails_is_raised() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise OSError("cannot flush")

    server = WorkerServer(app, [])
    await server.start()
    with pytest.raises(LifespanFailed) as caught:
        await server.shutdown()
    assert str(caught.value.__cause__) == "cannot flush"
    server.close()


class CleansUp:
    """An application whose lifespan has something to do when it is cancelled."""

    def __init__(self, *, ends: bool = True) -> None:
        self.steps: list[str] = []
        self.is_up = asyncio.Event()
        self.may_end = asyncio.Event()
        if ends:
            self.may_end.set()

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        try:
            await receive()
            self.is_up.set()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            await asyncio.Event().wait()
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            await self.may_end.wait()
            self.steps.append("cleaned up")


async def test_a_shutdown_waits_for_what_the_application_still_does() -> None:
    app = CleansUp()
    server = WorkerServer(app, [])
    await server.start()
    await server.shutdown()
    assert app.steps == ["cleaned up"]
    server.close()


async def test_a_shutdown_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.worker.lifespan.STOP_S", 0.0)
    app = CleansUp(ends=False)
    server = WorkerServer(app, [])
    await server.start()
    await server.shutdown()
    assert app.steps == []
    app.may_end.set()
    while not app.steps:
        await asyncio.sleep(0)
    server.close()
