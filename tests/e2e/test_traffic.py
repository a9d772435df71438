"""What clients and peers see of a worker with sockets: many at once, large bodies, streams, and clients that leave."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from longshore.aio.tasks import spawn
from tests.e2e.host import running_host, worker_config
from tests.e2e.load import exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.host import Host

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(180)]

MIB = 1024 * 1024
BODY_BYTES = 100 * MIB
FLAT_BYTES = 24 * MIB
"""Growth that is no copy of the body: buffers, the allocator's own."""


class Echo:
    """A server that says back what it hears, and knows its connections."""

    def __init__(self) -> None:
        self.accepted = 0
        self.most = 0
        self.open = 0
        self.all_closed = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.all_closed.clear()
        try:
            await self.gate.wait()
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.open -= 1
            if not self.open:
                self.all_closed.set()


@asynccontextmanager
async def echoing() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0, backlog=2048)
    async with server:
        echo.port = server.sockets[0].getsockname()[1]
        yield echo
    await echo.all_closed.wait()


async def test_a_thousand_concurrent_requests_each_with_its_own_socket(tmp_path: Path) -> None:
    source = """
    from workers import WorkerEntrypoint, Response
    from longshore import connect

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            number = request.query_params["n"].encode()
            async with connect(f"127.0.0.1:{self.env.PORT}") as socket:
                await socket.writable.write(number)
                answer = await socket.readable.read()
            return Response(answer)
    """.replace('request.query_params["n"]', 'request.path.strip("/")')
    async with echoing() as echo:
        config = worker_config(tmp_path, source, vars={"PORT": echo.port})
        async with running_host(config) as host:

            async def request(number: int) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
                answer = await exchange(reader, writer, b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number)
                writer.close()
                await writer.wait_closed()
                return answer.body

            echo.gate.clear()
            requests = [spawn(request(number), name=f"request {number}") for number in range(1000)]
            while echo.open < 1000 and not any(request.done() for request in requests):
                await asyncio.sleep(0.01)
            echo.gate.set()
            assert await asyncio.gather(*requests) == [str(number).encode() for number in range(1000)]
            assert echo.most == 1000


BODIES = """
from workers import WorkerEntrypoint, Response

CHUNK = bytes(65536)

async def zeros(count):
    for _ in range(count):
        yield CHUNK

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.method == "GET":
            return Response(zeros(1600))
        if request.path == "/echo":
            return Response(request.body)
        count = 0
        async for chunk in request.body:
            count += len(chunk)
        return Response(str(count))
"""


async def zeros() -> AsyncIterator[bytes]:
    chunk = bytes(65536)
    for _ in range(BODY_BYTES // len(chunk)):
        yield chunk


@asynccontextmanager
async def flat_memory(host: Host) -> AsyncIterator[None]:
    """Fail when the worker grows by much meanwhile."""
    worker = psutil.Process(host.of("WorkerReady")[0]["pid"])
    before, is_over, most = worker.memory_info().rss, asyncio.Event(), 0

    async def look() -> None:
        nonlocal most
        while not is_over.is_set():
            most = max(most, worker.memory_info().rss)
            await asyncio.sleep(0.005)

    looking = spawn(look(), name="memory")
    try:
        yield
    finally:
        is_over.set()
        await looking
    assert most - before < FLAT_BYTES, f"grew from {before / MIB:.0f} to {most / MIB:.0f} MiB"


async def test_a_large_upload_takes_no_memory(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, BODIES)) as host, httpx.AsyncClient(base_url=host.url) as client:
        assert (await client.post("/", content=b"warm")).text == "4"
        async with flat_memory(host):
            answer = await client.post("/", content=zeros(), timeout=100)
        assert answer.text == str(BODY_BYTES)


async def test_a_large_download_takes_no_memory(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, BODIES)) as host, httpx.AsyncClient(base_url=host.url) as client:
        await client.post("/", content=b"warm")
        async with flat_memory(host), client.stream("GET", "/", timeout=100) as response:
            received = 0
            async for chunk in response.aiter_raw():
                received += len(chunk)
        assert received == BODY_BYTES


async def test_a_large_body_there_and_back_takes_no_memory(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, BODIES)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)

        async def upload() -> None:
            writer.write(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
            async for chunk in zeros():
                writer.write(chunk)
                await writer.drain()

        async with flat_memory(host):
            uploading = spawn(upload(), name="upload")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"content-length: %d\r\n" % BODY_BYTES in head.lower(), "known from the request's"
            received = 0
            while received < BODY_BYTES:
                data = await reader.read(65536)
                assert data, f"ended after {received} bytes"
                received += len(data)
            await uploading
        writer.close()
        await writer.wait_closed()


async def test_a_slow_client_holds_the_worker_back(tmp_path: Path) -> None:
    async with running_host(worker_config(tmp_path, BODIES)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=1024)
        async with flat_memory(host):
            writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            await reader.readexactly(1024)
            async with httpx.AsyncClient(base_url=host.url) as client:
                for _ in range(50):  # it goes on serving others meanwhile
                    assert (await client.post("/", content=b"1234")).text == "4"
        writer.transport.abort()


async def test_chunks_arrive_when_they_are_made(tmp_path: Path) -> None:
    source = """
    from workers import WorkerEntrypoint, Response
    from longshore import connect

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            socket = connect(f"127.0.0.1:{self.env.PORT}", allow_half_open=True)
            await socket.writable.write(b"first")
            self.ctx.wait_until(self.later(socket))
            return Response(socket.readable)

        async def later(self, socket):
            # Only when the client has said by another request that it has the first part.
            await SEEN.wait()
            await socket.writable.write(b"second")
            await socket.writable.close()  # the peer says the rest back, and ends

    import asyncio
    SEEN = asyncio.Event()

    class Default(Default):
        async def fetch(self, request):
            if request.method == "POST":
                SEEN.set()
                return Response("ok")
            return await super().fetch(request)
    """
    async with echoing() as echo:
        config = worker_config(tmp_path, source, vars={"PORT": echo.port})
        async with (
            running_host(config) as host,
            httpx.AsyncClient(base_url=host.url, timeout=60) as client,
            client.stream("GET", "/") as response,
        ):
            parts = response.aiter_raw()
            assert await anext(parts) == b"first"
            assert (await client.post("/")).text == "ok"
            assert b"".join([part async for part in parts]) == b"second"


SENDS_ON = """
import asyncio
from workers import WorkerEntrypoint, Response
from longshore import connect

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        self.ctx.wait_until(self.after())
        socket = connect(f"127.0.0.1:{self.env.PORT}")
        if request.path != "/waiting":
            await socket.writable.write(b"x" * 1000)
            return Response(socket.readable)
        async with socket:
            await socket.opened
            print("waiting", flush=True)
            await socket.readable.read()

    async def after(self):
        await asyncio.sleep(0.3)
        print("after", flush=True)
"""


async def test_a_client_that_leaves_a_stream_ends_its_socket(tmp_path: Path) -> None:
    async with echoing() as echo:
        config = worker_config(tmp_path, SENDS_ON, vars={"PORT": echo.port})
        async with running_host(config, log_connections=True) as host:
            reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            await reader.readuntil(b"xxxx")
            assert echo.open == 1
            writer.transport.abort()
            await echo.all_closed.wait()
            assert (await host.message("RequestFinished"))["outcome"] == "canceled"
            await host.next("output", text="after\n")


async def test_a_client_that_leaves_before_the_answer_cancels_the_handler(tmp_path: Path) -> None:
    async with echoing() as echo:
        config = worker_config(tmp_path, SENDS_ON, vars={"PORT": echo.port})
        async with running_host(config) as host:
            _, writer = await asyncio.open_connection("127.0.0.1", host.port)
            writer.write(b"GET /waiting HTTP/1.1\r\nHost: test\r\n\r\n")
            await host.next("output", text="waiting\n")
            writer.transport.abort()
            assert (await host.message("RequestFinished"))["outcome"] == "canceled"
            await host.next("output", text="after\n")
            await echo.all_closed.wait()


async def test_wait_until_runs_on_after_the_client_left_and_is_drained_at_the_end(tmp_path: Path) -> None:
    source = SENDS_ON.replace("sleep(0.3)", "sleep(1.0)")
    async with echoing() as echo:
        config = worker_config(tmp_path, source, vars={"PORT": echo.port})
        async with running_host(config) as host:
            _, writer = await asyncio.open_connection("127.0.0.1", host.port)
            writer.write(b"GET /waiting HTTP/1.1\r\nHost: test\r\n\r\n")
            await host.next("output", text="waiting\n")
            writer.transport.abort()
            host.process.terminate()
            assert await host.ended() == 0
            assert [event["text"] for event in host.of("output")][-1] == "after\n"


async def test_a_handler_that_raises_is_a_500_and_an_event(tmp_path: Path) -> None:
    source = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            raise LookupError("no such thing")
    """
    async with running_host(worker_config(tmp_path, source)) as host:
        async with httpx.AsyncClient(base_url=host.url) as client:
            answer = await client.get("/page?x=1")
            assert answer.status_code == 500
            assert "no such thing" not in answer.text, "in production the client is not told"
            assert (await client.get("/")).status_code == 500, "the worker goes on"
        failure = await host.message("HandlerFailed", where="fetch")
        assert failure["report"]["type"] == "LookupError"
        assert failure["subject"] == "GET /page?x=1"
